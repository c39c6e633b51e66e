// Gen writes the shapes of AWS's services as Go, one package a service, from
// the service models that the botocore wheel carries. It takes names, types
// and constraints, never documentation, and only what the operations we serve
// can reach. Run it by go generate in internal/api, which needs pip; its output
// is the same on every run until the list of services or the pinned version
// changes.
//
// # Types
//
// An operation Op gets OpInput and OpOutput, other structures keep the model's
// name. A field is spelled like its member and is a pointer for scalars and
// structures; nil is absent, also for lists, maps and blobs.
//
//	string, enum       *string                 sensitive: *api.Sensitive
//	blob               []byte                  sensitive: api.SensitiveBlob
//	integer, long      *int64
//	boolean            *bool
//	timestamp          *api.Timestamp
//	list of T          []T                     T without a pointer
//	map of K to V      map[string]V            V without a pointer
//	structure S        *S
//
// # Tags
//
// Constraints stand in struct tags, one tag a level:
//
//	api         the member itself
//	elem        the elements of its list, the values of its map
//	key         the keys of its map
//	elem.elem   the elements of its elements, and so on
//
// A tag is a list of words, separated by commas:
//
//	name=arn    the member's name, where Go wants a capital
//	required    the member must be there (api only)
//	int32       the number must fit in 32 bits
//	min=1       bounds of the length (string: characters, blob: bytes, list
//	max=64      and map: elements) or, of a number, the value
//	enum=a|b    the only values
//	pattern=RE  the regular expression of the whole value, as modelled. Always
//	            the last word: it may hold commas
//
// Package shape is the one writer and reader of this grammar.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
)

// botocoreVersion pins the models. The newest of them is not always wanted: a
// new version may bring operations and members to decide about.
const botocoreVersion = "1.43.75"

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	w, err := downloadWheel(botocoreVersion)
	if err != nil {
		return err
	}
	defer w.close()
	for _, s := range services() {
		text, err := w.model(s.model)
		if err != nil {
			return err
		}
		files, err := generate(s, text)
		if err != nil {
			return fmt.Errorf("generate %s: %w", s.name, err)
		}
		if err := write(s.name, files); err != nil {
			return err
		}
	}
	return nil
}

func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, source := range files {
		if err := os.WriteFile(filepath.Join(dir, name), source, 0o644); err != nil {
			return err
		}
	}
	return nil
}
