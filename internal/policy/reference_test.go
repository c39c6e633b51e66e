package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This is the evaluation of policies once more, slowly and to the letter of
// AWS's description, as a second opinion. It shares no code with the first:
// it reads the JSON anew at each question, and matches by recursion.

type refDocs struct {
	identity     []string
	boundary     *string
	sessions     []string // nil if none was passed
	organization [][]string
	resource     *string
	trust        bool
}

type refStatement struct {
	variables bool
	element   map[string]any
}

func refStatements(text string) (list []refStatement) {
	var document map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		panic(err)
	}
	for _, s := range refList(document["Statement"]) {
		list = append(list, refStatement{document["Version"] == "2012-10-17", s.(map[string]any)})
	}
	return list
}

func refList(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func refTexts(v any) (texts []string) {
	for _, item := range refList(v) {
		switch item := item.(type) {
		case string:
			texts = append(texts, item)
		case json.Number:
			texts = append(texts, item.String())
		case bool:
			texts = append(texts, strconv.FormatBool(item))
		}
	}
	return texts
}

// A refElement is one character of a pattern: itself, or a wildcard.
type refElement struct {
	char rune
	wild bool
}

// refPattern is the pattern with its variables replaced; false if one has no
// value.
func refPattern(text string, variables, wildcards bool, keys Keys) ([]refElement, bool) {
	var elements []refElement
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		if variables && r == '$' && i+1 < len(runes) && runes[i+1] == '{' {
			end := i + slices.Index(runes[i:], '}')
			value, ok := refVariable(string(runes[i+2:end]), keys)
			if !ok {
				return nil, false
			}
			for _, v := range value {
				elements = append(elements, refElement{v, false})
			}
			i = end
			continue
		}
		elements = append(elements, refElement{r, wildcards && (r == '*' || r == '?')})
	}
	return elements, true
}

func refVariable(inner string, keys Keys) (string, bool) {
	if inner == "*" || inner == "?" || inner == "$" {
		return inner, true
	}
	name, fallback, hasFallback := strings.Cut(inner, ",")
	values := refKey(keys, strings.TrimSpace(name))
	if len(values) == 0 && hasFallback {
		return strings.Trim(strings.TrimSpace(fallback), "'"), true
	}
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

func refKey(keys Keys, name string) []string {
	values, present := keys(strings.ToLower(name))
	if !present {
		return nil
	}
	return values
}

func refMatch(pattern []refElement, s []rune) bool {
	if len(pattern) == 0 {
		return len(s) == 0
	}
	if p := pattern[0]; p.wild && p.char == '*' {
		return refMatch(pattern[1:], s) || len(s) > 0 && refMatch(pattern, s[1:])
	} else if len(s) == 0 || !p.wild && p.char != s[0] {
		return false
	}
	return refMatch(pattern[1:], s[1:])
}

// refMatchARN compares the six parts of two ARNs one by one.
func refMatchARN(pattern []refElement, s string) bool {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return false
	}
	for i, part := range parts {
		end := slices.Index(pattern, refElement{':', false})
		if i == 5 {
			return refMatch(pattern, []rune(part))
		}
		if end < 0 || !refMatch(pattern[:end], []rune(part)) {
			return false
		}
		pattern = pattern[end+1:]
	}
	return false
}

func (s refStatement) aboutAction(action string) bool {
	name, not := "Action", false
	if _, ok := s.element["NotAction"]; ok {
		name, not = "NotAction", true
	}
	for _, text := range refTexts(s.element[name]) {
		pattern, _ := refPattern(strings.ToLower(text), false, true, nil)
		if refMatch(pattern, []rune(strings.ToLower(action))) {
			return !not
		}
	}
	return not
}

func (s refStatement) aboutResource(resource string, keys Keys) bool {
	if _, ok := s.element["NotResource"]; ok {
		for _, text := range refTexts(s.element["NotResource"]) {
			if matched, resolved := s.matchResource(text, resource, keys); matched || !resolved {
				return false
			}
		}
		return true
	}
	if _, ok := s.element["Resource"]; !ok {
		return true // a trust policy
	}
	for _, text := range refTexts(s.element["Resource"]) {
		if matched, _ := s.matchResource(text, resource, keys); matched {
			return true
		}
	}
	return false
}

func (s refStatement) matchResource(text, resource string, keys Keys) (matched, resolved bool) {
	if text == "*" {
		return true, true
	}
	pattern, ok := refPattern(text, s.variables, true, keys)
	if !ok {
		return false, false
	}
	for range 5 - strings.Count(text, ":") {
		pattern = append(pattern, refElement{':', false}, refElement{'*', true})
	}
	return refMatchARN(pattern, resource), true
}

func (s refStatement) conditionsHold(keys Keys) bool {
	conditions, _ := s.element["Condition"].(map[string]any)
	for operator, of := range conditions {
		for key, values := range of.(map[string]any) {
			if !s.conditionHolds(operator, refKey(keys, key), refTexts(values), keys) {
				return false
			}
		}
	}
	return true
}

func (s refStatement) conditionHolds(operator string, got, wanted []string, keys Keys) bool {
	quantifier, name, quantified := strings.Cut(operator, ":")
	if !quantified {
		quantifier, name = "", operator
	}
	name, ifExists := strings.CutSuffix(name, "IfExists")
	absent := len(got) == 0
	if name == "Null" {
		return slices.ContainsFunc(wanted, func(v string) bool { return strings.EqualFold(v, strconv.FormatBool(absent)) })
	}
	if absent && ifExists {
		return true
	}
	plain, negated := strings.Replace(name, "Not", "", 1), strings.Contains(name, "Not")
	one := func(g string) bool {
		matches := slices.ContainsFunc(wanted, func(w string) bool { return s.compares(plain, g, w, keys) })
		return matches != negated
	}
	switch {
	case quantifier == "ForAllValues":
		return !slices.ContainsFunc(got, func(g string) bool { return !one(g) })
	case quantifier == "ForAnyValue":
		return slices.ContainsFunc(got, one)
	case absent:
		return negated
	}
	return slices.ContainsFunc(got, one)
}

// compares says whether a value of the request compares with one of the policy
// as an operator without its negation asks.
func (s refStatement) compares(operator, got, wanted string, keys Keys) bool {
	family, _, _ := strings.Cut(operator, "Equals")
	switch {
	case strings.HasPrefix(operator, "Numeric"):
		return refOrder(strings.TrimPrefix(operator, "Numeric"), refNumber(got), refNumber(wanted))
	case strings.HasPrefix(operator, "Date"):
		return refOrder(strings.TrimPrefix(operator, "Date"), refDate(got), refDate(wanted))
	case operator == "IpAddress":
		return refInside(got, wanted)
	case family == "Binary":
		a, errA := base64.StdEncoding.DecodeString(got)
		b, errB := base64.StdEncoding.DecodeString(wanted)
		return errA == nil && errB == nil && bytes.Equal(a, b)
	}
	if operator == "StringEqualsIgnoreCase" || operator == "Bool" {
		got = strings.ToLower(got)
	}
	like := operator == "StringLike" || operator == "ArnLike" || operator == "ArnEquals"
	pattern, ok := refPattern(wanted, s.variables, like, keys)
	if !ok {
		return false
	}
	switch operator {
	case "ArnLike", "ArnEquals":
		return refMatchARN(pattern, got)
	case "Bool", "StringEqualsIgnoreCase":
		for i := range pattern {
			pattern[i].char = []rune(strings.ToLower(string(pattern[i].char)))[0]
		}
		if operator == "Bool" && got != "true" && got != "false" {
			return false
		}
	}
	return refMatch(pattern, []rune(got))
}

func refNumber(s string) *big.Rat {
	n, ok := new(big.Rat).SetString(s)
	if !ok || strings.Contains(s, "/") {
		return nil
	}
	return n
}

func refDate(s string) *big.Rat {
	if n, err := strconv.ParseUint(s, 10, 62); err == nil {
		return big.NewRat(int64(n), 1)
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02"} {
		if t, err := time.Parse(form, s); err == nil {
			return big.NewRat(t.UnixNano(), int64(time.Second))
		}
	}
	return nil
}

func refOrder(operator string, got, wanted *big.Rat) bool {
	if got == nil || wanted == nil {
		return false
	}
	order := got.Cmp(wanted)
	return map[string]bool{
		"Equals": order == 0, "LessThan": order < 0, "LessThanEquals": order <= 0,
		"GreaterThan": order > 0, "GreaterThanEquals": order >= 0,
	}[operator]
}

func refInside(got, network string) bool {
	if strings.Contains(got, ":") != strings.Contains(network, ":") {
		return false
	}
	address := net.ParseIP(got)
	if !strings.Contains(network, "/") {
		return address != nil && address.Equal(net.ParseIP(network))
	}
	_, block, err := net.ParseCIDR(network)
	return err == nil && address != nil && block.Contains(address)
}
