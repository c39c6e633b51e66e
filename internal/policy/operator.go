package policy

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A family is how an operator compares: the operators of one family differ
// only in negation, case, wildcards, or in which order of two values they ask
// for.
type family uint8

const (
	textFamily family = iota // String*, and Binary* in its one encoding
	arnFamily
	boolFamily
	nullFamily
	networkFamily
	numberFamily
	dateFamily
)

// compile reads the values once, so that no request has to.
func (c *condition) compile(variables bool) {
	name := c.operator.name
	c.negated = strings.Contains(name, "Not")
	switch {
	case strings.HasPrefix(name, "Numeric"):
		c.family = numberFamily
		for _, v := range c.values {
			n, _ := parseNumber(v)
			c.numbers = append(c.numbers, n)
		}
	case strings.HasPrefix(name, "Date"):
		c.family = dateFamily
		for _, v := range c.values {
			t, _ := parseDate(v)
			c.dates = append(c.dates, t)
		}
	case strings.HasSuffix(name, "IpAddress"):
		c.family = networkFamily
		for _, v := range c.values {
			n, _ := parseNetwork(v)
			c.networks = append(c.networks, n)
		}
	case name == "Null":
		c.family, c.negated = nullFamily, false
	default:
		c.compileTexts(name, variables)
	}
}

func (c *condition) compileTexts(name string, variables bool) {
	d := dialect{variables: variables}
	switch {
	case strings.HasPrefix(name, "Arn"):
		c.family = arnFamily
		d.wildcards, d.arn = true, true
	case name == "Bool":
		c.family = boolFamily
		d.fold = true
	case name == "BinaryEquals":
		d.variables = false
	default:
		d.wildcards = strings.HasSuffix(name, "Like")
		d.fold = strings.HasSuffix(name, "IgnoreCase")
	}
	for _, v := range c.values {
		if name == "BinaryEquals" {
			data, _ := base64.StdEncoding.Strict().DecodeString(v)
			v = base64.StdEncoding.EncodeToString(data)
		}
		c.patterns = append(c.patterns, compileGlob(v, d))
	}
}

// holds says whether the condition is true of the request.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
func (e *evaluation) holds(c *condition) bool {
	values := e.lookup(c.key, c.name)
	if c.family == nullFamily {
		return c.wantsNull(len(values) == 0)
	}
	all := c.operator.quantifier == "ForAllValues"
	if len(values) == 0 {
		return c.operator.ifExists || all || c.operator.quantifier == "" && c.negated
	}
	for _, v := range values {
		if holds := e.equals(c, v) != c.negated; holds != all {
			return holds
		}
	}
	return all
}

// wantsNull says whether one of the values of a Null asks for what is.
func (c *condition) wantsNull(isNull bool) bool {
	for _, v := range c.values {
		if strings.EqualFold(v, "true") == isNull {
			return true
		}
	}
	return false
}

// equals says whether a value of the request compares with one of the
// condition's as the operator asks, negation aside. What the operator cannot
// read compares with nothing.
func (e *evaluation) equals(c *condition, value string) bool {
	colon := noColon
	switch c.family {
	case networkFamily:
		return within(c.networks, value)
	case numberFamily:
		return c.comparesNumber(value)
	case dateFamily:
		return c.comparesDate(value)
	case boolFamily:
		if !isBool(value) {
			return false
		}
	case arnFamily:
		if colon = fifthColon(value); colon == noColon || !strings.HasPrefix(value, "arn:") {
			return false
		}
	}
	for i := range c.patterns {
		p := &c.patterns[i]
		if e.resolves(p) && p.match(value, e, colon) {
			return true
		}
	}
	return false
}

func within(networks []netip.Prefix, value string) bool {
	address, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	for _, n := range networks {
		if n.Contains(address) {
			return true
		}
	}
	return false
}

func (c *condition) comparesNumber(value string) bool {
	got, ok := parseNumber(value)
	if !ok {
		return false
	}
	for _, n := range c.numbers {
		order := 0
		if got < n {
			order = -1
		} else if got > n {
			order = 1
		}
		if c.ordered(order) {
			return true
		}
	}
	return false
}

func (c *condition) comparesDate(value string) bool {
	got, ok := parseDate(value)
	if !ok {
		return false
	}
	for _, t := range c.dates {
		if c.ordered(got.Compare(t)) {
			return true
		}
	}
	return false
}

// ordered says whether the operator asks for a value of the request that is
// less (-1), equal (0) or greater (1).
func (c *condition) ordered(order int) bool {
	name := c.operator.name
	switch {
	case strings.HasSuffix(name, "LessThan"):
		return order < 0
	case strings.HasSuffix(name, "LessThanEquals"):
		return order <= 0
	case strings.HasSuffix(name, "GreaterThan"):
		return order > 0
	case strings.HasSuffix(name, "GreaterThanEquals"):
		return order >= 0
	}
	return order == 0
}

// parseNumber reads an integer or a decimal, as exactly as a float64 holds it.
func parseNumber(s string) (float64, bool) {
	if s == "" || !isOnly(s, digits+"+-.eE") {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// dateForms are those of ISO 8601 that the W3C's note on date formats names.
var dateForms = []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006",
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04"}

// parseDate reads an ISO 8601 date, or seconds since 1970. Four digits are a
// year.
func parseDate(s string) (time.Time, bool) {
	if isDigits(s) && len(s) != len("2006") {
		seconds, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(seconds, 0), err == nil
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseNetwork reads a CIDR block, or an address as the block of itself.
func parseNetwork(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
