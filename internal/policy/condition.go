package policy

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A condition is one operator applied to one key, with the values of which one
// must match.
type condition struct {
	operator operator
	key      string // in lower case
	values   []string
}

// An operator is a condition operator taken apart:
// [ForAllValues:|ForAnyValue:]Name[IfExists].
type operator struct {
	quantifier string // "ForAllValues", "ForAnyValue" or ""
	name       string
	ifExists   bool
}

// operators are AWS's, with what each asks of a value. A nil function takes
// any text.
var operators = map[string]func(value string) bool{
	"StringEquals":              nil,
	"StringNotEquals":           nil,
	"StringEqualsIgnoreCase":    nil,
	"StringNotEqualsIgnoreCase": nil,
	"StringLike":                nil,
	"StringNotLike":             nil,
	"NumericEquals":             isNumber,
	"NumericNotEquals":          isNumber,
	"NumericLessThan":           isNumber,
	"NumericLessThanEquals":     isNumber,
	"NumericGreaterThan":        isNumber,
	"NumericGreaterThanEquals":  isNumber,
	"DateEquals":                isDate,
	"DateNotEquals":             isDate,
	"DateLessThan":              isDate,
	"DateLessThanEquals":        isDate,
	"DateGreaterThan":           isDate,
	"DateGreaterThanEquals":     isDate,
	"Bool":                      isBoolOrVariable,
	"BinaryEquals":              isBase64,
	"IpAddress":                 isNetwork,
	"NotIpAddress":              isNetwork,
	"ArnEquals":                 nil,
	"ArnLike":                   nil,
	"ArnNotEquals":              nil,
	"ArnNotLike":                nil,
	"Null":                      isBool,
}

// parseOperator takes an operator's name apart, and says whether there is one
// of that name.
func parseOperator(s string) (operator, bool) {
	var o operator
	o.name = s
	if q, rest, found := strings.Cut(s, ":"); found {
		if q != "ForAllValues" && q != "ForAnyValue" {
			return o, false
		}
		o.quantifier, o.name = q, rest
	}
	o.name, o.ifExists = strings.CutSuffix(o.name, "IfExists")
	_, known := operators[o.name]
	return o, known && !(o.name == "Null" && o.ifExists)
}

// readConditions checks the value of a Condition. Like AWS it lets an unknown
// operator stand as long as nothing is asked of it.
func readConditions(n node) ([]condition, *SyntaxError) {
	if n.kind != objectNode {
		return nil, syntax("a condition is an object")
	}
	var conditions []condition
	for _, m := range n.members {
		if m.value.kind != objectNode {
			return nil, syntax("condition %.60q: want an object", m.name)
		}
		if len(m.value.members) == 0 {
			continue
		}
		o, known := parseOperator(m.name)
		if !known {
			return nil, syntax("unknown condition operator %.60q", m.name)
		}
		seen := map[string]bool{}
		for _, k := range m.value.members {
			c, fault := readCondition(o, k)
			if fault != nil {
				return nil, fault
			}
			if seen[c.key] {
				return nil, syntax("condition key %.60q stands twice under one operator", k.name)
			}
			seen[c.key] = true
			conditions = append(conditions, c)
		}
	}
	return conditions, nil
}

func readCondition(o operator, m member) (condition, *SyntaxError) {
	values, ok := m.value.scalars()
	if !ok {
		return condition{}, syntax("condition key %.60q: want a string, a number, a bool or a list of them", m.name)
	}
	if check := operators[o.name]; check != nil {
		for _, v := range values {
			if check(v) {
				continue
			}
			fault := syntax("condition key %.60q: a value that %s cannot read", m.name, o.name)
			if strings.HasPrefix(o.name, "Date") {
				fault.Message = messageLegacy
			}
			return condition{}, fault
		}
	}
	return condition{operator: o, key: strings.ToLower(m.name), values: values}, nil
}

func isNumber(s string) bool {
	if s == "" || !isOnly(s, digits+"+-.eE") {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// dateForms are those of ISO 8601 that the W3C's note on date formats names.
var dateForms = []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006",
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04"}

func isDate(s string) bool {
	if isDigits(s) {
		_, err := strconv.ParseInt(s, 10, 64)
		return err == nil
	}
	return slices.ContainsFunc(dateForms, func(form string) bool {
		_, err := time.Parse(form, s)
		return err == nil
	})
}

func isBool(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

func isBoolOrVariable(s string) bool { return isBool(s) || strings.Contains(s, "${") }

func isBase64(s string) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil
}

func isNetwork(s string) bool {
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}

// pins says whether the condition ties a statement to fixed sources, so that a
// wildcard principal in it is not the public. Operators that are true of a
// request without the key tie nothing.
func (c condition) pins() bool {
	if c.operator.ifExists || c.operator.quantifier == "ForAllValues" || len(c.values) == 0 {
		return false
	}
	switch c.operator.name {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike":
	default:
		return false
	}
	switch c.key {
	case "aws:sourcearn":
		return !slices.ContainsFunc(c.values, func(v string) bool { return !isFixed(v) && !isFixedSource(v) })
	case "aws:sourceaccount", "aws:sourcevpc", "aws:sourcevpce":
		return !slices.ContainsFunc(c.values, func(v string) bool { return !isFixed(v) })
	}
	return false
}

func isFixed(value string) bool { return value != "" && !strings.ContainsAny(value, "*?$") }

// isFixedSource says whether every ARN of a pattern has one service and one
// owner: an account or, where ARNs have no account, a resource whose name
// begins with more than a wildcard.
func isFixedSource(pattern string) bool {
	segments := strings.SplitN(pattern, ":", arnSegments)
	if len(segments) != arnSegments || segments[0] != "arn" || !isFixed(segments[2]) || strings.Contains(pattern, "$") {
		return false
	}
	account, resource := segments[4], segments[5]
	if account == "" {
		return resource != "" && !strings.ContainsAny(resource[:1], "*?")
	}
	return isFixed(account)
}
