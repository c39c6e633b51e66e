package wire

import (
	"encoding/base64"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"azekura/internal/api"
)

// decodeForm reads parameters, no two of one name, into in, an empty structure
// that p plans. What the model does not know is skipped. An empty value makes a
// list, map or structure that is there and empty. The numbers of a list's
// elements may have gaps; they say no more than the order. Its errors are
// SerializationExceptions that hold nothing of the form.
func decodeForm(params []parameter, in any, p *plan) error {
	var root node
	for _, param := range params {
		member, _, _ := strings.Cut(param.name, ".")
		if _, known := p.byName[member]; !known {
			continue
		}
		if err := root.put(param.name, param.value); err != nil {
			return err
		}
	}
	return root.structure(reflect.ValueOf(in).Elem(), p)
}

func (n *node) structure(v reflect.Value, p *plan) error {
	for i := range p.fields {
		member := n.below[p.fields[i].name]
		if member == nil {
			continue
		}
		at := v.Field(i)
		if at.Kind() == reflect.Pointer {
			at.Set(reflect.New(p.fields[i].goType))
			at = at.Elem()
		}
		if err := member.read(at, p.fields[i].value); err != nil {
			return err
		}
	}
	return nil
}

// read reads what w describes into v.
func (n *node) read(v reflect.Value, w *value) error {
	if w.elem == nil && w.structure == nil {
		if !n.given || n.below != nil {
			return n.mismatch(w)
		}
		return n.scalar(v, w)
	}
	if n.value != "" || n.given && n.below != nil {
		return n.mismatch(w)
	}
	switch w.kind {
	case list:
		return n.list(v, w)
	case dict:
		return n.dict(v, w)
	}
	return n.structure(v, w.structure)
}

func (n *node) scalar(v reflect.Value, w *value) error {
	switch w.kind {
	case text:
		// As in JSON: text that is no secret is kept readable in the database, and
		// PostgreSQL's TEXT has no U+0000.
		if !w.sensitive && strings.IndexByte(n.value, 0) >= 0 {
			return n.mismatch(w)
		}
		v.SetString(n.value)
	case number:
		size := 64
		if w.rules.Int32 {
			size = 32
		}
		whole, err := strconv.ParseInt(n.value, 10, size)
		if err != nil {
			return n.mismatch(w)
		}
		v.SetInt(whole)
	case boolean:
		if n.value != "true" && n.value != "false" {
			return n.mismatch(w)
		}
		v.SetBool(n.value == "true")
	case timestamp:
		t, err := time.Parse(time.RFC3339, n.value)
		if err != nil {
			return n.mismatch(w)
		}
		v.SetInt(int64(api.At(t)))
	case blob:
		return n.blob(v, w)
	}
	return nil
}

// blob takes standard base64 with padding and nothing else, as in JSON.
func (n *node) blob(v reflect.Value, w *value) error {
	decoded, err := base64.StdEncoding.Strict().DecodeString(n.value)
	if err != nil || strings.ContainsAny(n.value, "\r\n") {
		return n.mismatch(w)
	}
	v.SetBytes(decoded)
	return nil
}

// list reads Name.member.1, Name.member.2 and so on.
func (n *node) list(v reflect.Value, w *value) error {
	elems, err := n.numbered("member", w)
	if err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(w.goType, len(elems), len(elems)))
	for i, elem := range elems {
		if err := elem.read(v.Index(i), w.elem); err != nil {
			return err
		}
	}
	return nil
}

// dict reads Name.entry.1.key, Name.entry.1.value and so on.
func (n *node) dict(v reflect.Value, w *value) error {
	entries, err := n.numbered("entry", w)
	if err != nil {
		return err
	}
	v.Set(reflect.MakeMapWithSize(w.goType, len(entries)))
	for _, entry := range entries {
		keyNode, elemNode := entry.below["key"], entry.below["value"]
		if keyNode == nil || elemNode == nil {
			return n.mismatch(w)
		}
		key, elem := reflect.New(w.key.goType).Elem(), reflect.New(w.elem.goType).Elem()
		if err := keyNode.read(key, w.key); err != nil {
			return err
		}
		if err := elemNode.read(elem, w.elem); err != nil {
			return err
		}
		if v.MapIndex(key).IsValid() {
			return errTwice()
		}
		v.SetMapIndex(key, elem)
	}
	return nil
}

// numbered are the nodes below n and name, in the order of their numbers. A
// list or map has nothing else below it.
func (n *node) numbered(name string, w *value) ([]*node, error) {
	if n.below == nil {
		return nil, nil
	}
	all := n.below[name]
	if all == nil || all.given || len(n.below) > 1 {
		return nil, n.mismatch(w)
	}
	type entry struct {
		number uint64
		*node
	}
	entries := make([]entry, 0, len(all.below))
	for digits, elem := range all.below {
		number, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || digits[0] == '0' {
			return nil, n.mismatch(w)
		}
		entries = append(entries, entry{number, elem})
	}
	slices.SortFunc(entries, func(x, y entry) int { return int(x.number) - int(y.number) })
	nodes := make([]*node, len(entries))
	for i := range entries {
		nodes[i] = entries[i].node
	}
	return nodes, nil
}

// mismatch is the answer to a value that is not what the model wants.
func (n *node) mismatch(w *value) error {
	if n.below != nil {
		return api.Serialization("Start of structure or map found where not expected")
	}
	return api.Serialization("STRING_VALUE can not be converted to " + w.javaName())
}
