package policy

import (
	"encoding/base64"
	"net/netip"
	"strings"
	"time"
)

// A condition is one operator applied to one key, with the values of which one
// must match.
type condition struct {
	operator  operator
	key, name string   // in lower case, and as written
	values    []string // as written

	family   family // and what follows is made by compile
	negated  bool
	patterns []glob
	numbers  []float64
	dates    []time.Time
	networks []netip.Prefix
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
	return condition{operator: o, key: FoldKey(m.name), name: m.name, values: values}, nil
}

func isNumber(s string) bool {
	_, ok := parseNumber(s)
	return ok
}

func isDate(s string) bool {
	_, ok := parseDate(s)
	return ok
}

func isBool(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

func isBoolOrVariable(s string) bool { return isBool(s) || strings.Contains(s, "${") }

func isBase64(s string) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil
}

func isNetwork(s string) bool {
	_, ok := parseNetwork(s)
	return ok
}
