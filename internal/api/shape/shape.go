// Package shape reads and writes the struct tags in which generated shapes
// carry the constraints of their model. The grammar is told in package gen;
// this is the only code that knows it.
package shape

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// A Level is the key of the tag that constrains one level of a member: the
// member itself, the elements of its list, the keys of its map.
type Level string

// Member is the level of the member itself.
const Member Level = "api"

// Elem is the level of the elements of a list, or of the values of a map.
func (l Level) Elem() Level { return l.below("elem") }

// Key is the level of the keys of a map.
func (l Level) Key() Level { return l.below("key") }

func (l Level) below(name Level) Level {
	if l == Member {
		return name
	}
	return l + "." + name
}

// Rules are the constraints of one level. The zero Rules allow everything.
type Rules struct {
	Name     string   // on the wire, where Go needs another spelling; else ""
	Required bool     // the member must be there
	Int32    bool     // the number must fit in 32 bits
	Min, Max *int64   // of a length or, for numbers, of the value; nil is unbounded
	Enum     []string // the only values; nil allows all
	Pattern  string   // as modelled, see Regexp; "" allows all
}

// String is r as the text of a tag, which Parse reads back.
func (r Rules) String() string {
	var words []string
	if r.Name != "" {
		words = append(words, "name="+r.Name)
	}
	if r.Required {
		words = append(words, "required")
	}
	if r.Int32 {
		words = append(words, "int32")
	}
	if r.Min != nil {
		words = append(words, "min="+strconv.FormatInt(*r.Min, 10))
	}
	if r.Max != nil {
		words = append(words, "max="+strconv.FormatInt(*r.Max, 10))
	}
	if r.Enum != nil {
		words = append(words, "enum="+strings.Join(r.Enum, "|"))
	}
	if r.Pattern != "" {
		words = append(words, "pattern="+r.Pattern)
	}
	return strings.Join(words, ",")
}

// Parse reads the rules that tag holds for a level; without any it is the zero
// Rules. A word that it does not know is an error, so that no constraint is
// lost between the generator and its readers.
func Parse(tag reflect.StructTag, at Level) (Rules, error) {
	var r Rules
	for rest := tag.Get(string(at)); rest != ""; {
		var word string
		if strings.HasPrefix(rest, "pattern=") {
			word, rest = rest, ""
		} else {
			word, rest, _ = strings.Cut(rest, ",")
		}
		if err := r.add(word); err != nil {
			return Rules{}, fmt.Errorf("read tag %s: %w", at, err)
		}
	}
	return r, nil
}

func (r *Rules) add(word string) error {
	name, value, _ := strings.Cut(word, "=")
	var err error
	switch name {
	case "name":
		r.Name = value
	case "required":
		r.Required = true
	case "int32":
		r.Int32 = true
	case "min":
		r.Min, err = parseBound(value)
	case "max":
		r.Max, err = parseBound(value)
	case "enum":
		r.Enum = strings.Split(value, "|")
	case "pattern":
		r.Pattern = value
	default:
		err = fmt.Errorf("unknown word %q", word)
	}
	return err
}

func parseBound(text string) (*int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read bound: %w", err)
	}
	return &n, nil
}

var javaUnicode = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

// lookahead gives the patterns that look ahead, which Go's cannot, in other
// words: among texts of the modelled length they match the same.
var lookahead = map[string]string{
	// A hyphen that no hyphen follows, between a first and a last character.
	`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`: `[a-z0-9]+(-[a-z0-9]+)*`,
}

// Regexp compiles a modelled pattern. AWS writes Java's dialect and matches the
// whole value, whether the pattern is anchored or not.
func Regexp(pattern string) (*regexp.Regexp, error) {
	if same, ok := lookahead[pattern]; ok {
		pattern = same
	}
	return regexp.Compile(`\A(?:` + javaUnicode.ReplaceAllString(pattern, `\x{$1}`) + `)\z`)
}
