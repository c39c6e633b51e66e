package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// maxDepth is the nesting that the grammar needs, from the document down to
// the list of a condition key's values, and a little more for the error text
// to be about the grammar.
const maxDepth = 8

// A node is one JSON value with all that matters to a strict reader: the order
// of members, and a number's own text.
type node struct {
	kind    nodeKind
	text    string // of a string, a number or a bool
	list    []node
	members []member
}

type member struct {
	name  string
	value node
}

type nodeKind int

const (
	nullNode nodeKind = iota
	stringNode
	numberNode
	boolNode
	listNode
	objectNode
)

// readTree reads one JSON value. It refuses what encoding/json would mend or
// choose from: bytes that are not UTF-8, a name given twice in one object (two
// readers could see two policies), nesting beyond maxDepth.
func readTree(document string) (node, error) {
	if !utf8.ValidString(document) {
		return node{}, errors.New("not UTF-8")
	}
	if !json.Valid([]byte(document)) {
		return node{}, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader([]byte(document)))
	d.UseNumber()
	return readNode(d, 0)
}

func readNode(d *json.Decoder, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, errors.New("nested too deep")
	}
	token, err := d.Token()
	if err != nil {
		return node{}, err
	}
	switch v := token.(type) {
	case string:
		return node{kind: stringNode, text: v}, nil
	case json.Number:
		return node{kind: numberNode, text: v.String()}, nil
	case bool:
		if v {
			return node{kind: boolNode, text: "true"}, nil
		}
		return node{kind: boolNode, text: "false"}, nil
	case json.Delim:
		if v == '{' {
			return readObject(d, depth)
		}
		return readList(d, depth)
	}
	return node{kind: nullNode}, nil
}

func readList(d *json.Decoder, depth int) (node, error) {
	n := node{kind: listNode}
	for d.More() {
		v, err := readNode(d, depth+1)
		if err != nil {
			return node{}, err
		}
		n.list = append(n.list, v)
	}
	_, err := d.Token()
	return n, err
}

func readObject(d *json.Decoder, depth int) (node, error) {
	n := node{kind: objectNode}
	seen := map[string]bool{}
	for d.More() {
		name, err := readNode(d, depth+1)
		if err != nil {
			return node{}, err
		}
		if seen[name.text] {
			return node{}, errors.New("a name stands twice in one object")
		}
		seen[name.text] = true
		v, err := readNode(d, depth+1)
		if err != nil {
			return node{}, err
		}
		n.members = append(n.members, member{name.text, v})
	}
	_, err := d.Token()
	return n, err
}

// texts is a string, or a list of strings, as a list that is not nil.
func (n node) texts() ([]string, bool) {
	switch n.kind {
	case stringNode:
		return []string{n.text}, true
	case listNode:
		texts := make([]string, 0, len(n.list))
		for _, item := range n.list {
			if item.kind != stringNode {
				return nil, false
			}
			texts = append(texts, item.text)
		}
		return texts, true
	}
	return nil, false
}

// scalars is texts for the values of conditions, which may also be numbers and
// bools and are compared through their text.
func (n node) scalars() ([]string, bool) {
	items := []node{n}
	if n.kind == listNode {
		items = n.list
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		switch item.kind {
		case stringNode, numberNode, boolNode:
			texts = append(texts, item.text)
		default:
			return nil, false
		}
	}
	return texts, true
}
