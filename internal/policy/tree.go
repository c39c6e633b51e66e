package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
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
	start   int    // of its text in the document, in bytes
	end     int    // just behind it
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
	return readNode(d, document, 0)
}

func readNode(d *json.Decoder, document string, depth int) (n node, err error) {
	if depth > maxDepth {
		return node{}, errors.New("nested too deep")
	}
	start := int(d.InputOffset())
	for start < len(document) && strings.IndexByte(" \t\r\n,:", document[start]) >= 0 {
		start++
	}
	token, err := d.Token()
	if err != nil {
		return node{}, err
	}
	switch v := token.(type) {
	case string:
		n = node{kind: stringNode, text: v}
	case json.Number:
		n = node{kind: numberNode, text: v.String()}
	case bool:
		n = node{kind: boolNode, text: strconv.FormatBool(v)}
	case json.Delim:
		if v == '{' {
			n, err = readObject(d, document, depth)
		} else {
			n, err = readList(d, document, depth)
		}
	}
	n.start, n.end = start, int(d.InputOffset())
	return n, err
}

func readList(d *json.Decoder, document string, depth int) (node, error) {
	n := node{kind: listNode}
	for d.More() {
		v, err := readNode(d, document, depth+1)
		if err != nil {
			return node{}, err
		}
		n.list = append(n.list, v)
	}
	_, err := d.Token()
	return n, err
}

func readObject(d *json.Decoder, document string, depth int) (node, error) {
	n := node{kind: objectNode}
	seen := map[string]bool{}
	for d.More() {
		name, err := readNode(d, document, depth+1)
		if err != nil {
			return node{}, err
		}
		if seen[name.text] {
			return node{}, errors.New("a name stands twice in one object")
		}
		seen[name.text] = true
		v, err := readNode(d, document, depth+1)
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
