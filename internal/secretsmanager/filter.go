package secretsmanager

import (
	"slices"
	"strings"

	model "azekura/internal/api/secretsmanager"
)

// Filters are ANDed, the values of one filter are ORed, a value that begins
// with an exclamation mark is negated.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html
type filters []filter

type filter struct {
	attribute func(*secret) []string // the texts that are looked at
	match     func(text, value string) bool
	values    []filterValue
}

type filterValue struct {
	text    string
	negated bool
}

// parseFilters reads the filters of a request.
func parseFilters(in []model.Filter) (filters, error) {
	var fs filters
	for _, f := range in {
		if f.Key == nil {
			return nil, model.InvalidParameter("Invalid filter key")
		}
		if len(f.Values) == 0 {
			return nil, model.InvalidParameter("Invalid filter values for key: %s", *f.Key)
		}
		attribute, match := filterKey(*f.Key)
		parsed := filter{attribute: attribute, match: match}
		for _, v := range f.Values {
			text, negated := strings.CutPrefix(v, "!")
			parsed.values = append(parsed.values, filterValue{text, negated})
		}
		fs = append(fs, parsed)
	}
	return fs, nil
}

// filterKey says what a filter's key looks at, and how: AWS matches names and
// tags by prefix and case, but descriptions, whatever its reference says, and
// "all" by words.
func filterKey(key string) (attribute func(*secret) []string, match func(text, value string) bool) {
	switch key {
	case "name":
		return (*secret).names, strings.HasPrefix
	case "description":
		return (*secret).descriptions, matchWords
	case "tag-key":
		return (*secret).tagKeys, strings.HasPrefix
	case "tag-value":
		return (*secret).tagValues, strings.HasPrefix
	case "all":
		return (*secret).searchable, matchWords
	}
	// primary-region and owning-service: no secret here has either.
	return func(*secret) []string { return nil }, strings.HasPrefix
}

func (s *secret) names() []string { return []string{s.name} }

func (s *secret) descriptions() []string {
	if s.description == "" {
		return nil
	}
	return []string{s.description}
}

func (s *secret) tagKeys() (keys []string) {
	for _, t := range s.tags {
		keys = append(keys, *t.Key)
	}
	return keys
}

func (s *secret) tagValues() (values []string) {
	for _, t := range s.tags {
		values = append(values, *t.Value)
	}
	return values
}

func (s *secret) searchable() []string {
	return slices.Concat(s.names(), s.descriptions(), s.tagKeys(), s.tagValues())
}

func (fs filters) match(s *secret) bool {
	for _, f := range fs {
		if !f.matches(s) {
			return false
		}
	}
	return true
}

// matches says whether any value of the filter matches. A secret without the
// attribute matches none, negated or not.
func (f filter) matches(s *secret) bool {
	texts := f.attribute(s)
	if len(texts) == 0 {
		return false
	}
	return slices.ContainsFunc(f.values, func(v filterValue) bool {
		found := slices.ContainsFunc(texts, func(text string) bool { return f.match(text, v.text) })
		return found != v.negated
	})
}

// namePrefixes returns the prefixes of one of which every matching secret's
// name begins, if the filters imply that.
func (fs filters) namePrefixes(in []model.Filter) []string {
	for i, f := range fs {
		if *in[i].Key != "name" || slices.ContainsFunc(f.values, func(v filterValue) bool { return v.negated }) {
			continue
		}
		var prefixes []string
		for _, v := range f.values {
			prefixes = append(prefixes, v.text)
		}
		return prefixes
	}
	return nil
}

// matchWords says whether each word of value begins some word of text, letter
// case aside. A value without a word matches nothing.
func matchWords(text, value string) bool {
	words, wanted := splitWords(text), splitWords(value)
	for _, w := range wanted {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(strings.ToLower(word), strings.ToLower(w)) }) {
			return false
		}
	}
	return len(wanted) > 0
}

// splitWords cuts text as AWS's search does: at spaces; at one kind of
// separator, though a piece that holds two kinds stays whole; and before each
// sign that is no lower-case letter but is followed by one, so that AppBeta is
// App and Beta, and COMPANYthings is COMPAN and Ythings.
func splitWords(text string) []string {
	const separators = "/-_+=.@"
	var words []string
	for _, piece := range strings.Fields(text) {
		at := strings.IndexAny(piece, separators)
		switch {
		case strings.Trim(piece, separators) == "":
			continue
		case at < 0:
			words = append(words, splitCase(piece)...)
			continue
		}
		separator := piece[at : at+1]
		if strings.ContainsAny(piece, strings.ReplaceAll(separators, separator, "")) {
			words = append(words, piece)
			continue
		}
		for part := range strings.SplitSeq(piece, separator) {
			words = append(words, splitCase(part)...)
		}
	}
	return words
}

// splitCase cuts a word before and after each run of one sign that is no
// lower-case letter and the lower-case letters that follow it.
func splitCase(word string) []string {
	lower := func(i int) bool { return i < len(word) && 'a' <= word[i] && word[i] <= 'z' }
	var words []string
	start := 0
	for i := 0; i < len(word); i++ {
		if lower(i) || !lower(i+1) || word[i] >= 0x80 {
			continue
		}
		end := i + 1
		for lower(end) {
			end++
		}
		words = append(words, word[start:i], word[i:end])
		start, i = end, end-1
	}
	words = append(words, word[start:])
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}
