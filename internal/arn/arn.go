// Package arn parses and prints Amazon Resource Names.
package arn

import (
	"errors"
	"strings"
)

// An ARN names one resource: arn:partition:service:region:account:resource.
// Region and Account are empty for resources that have none.
type ARN struct{ Partition, Service, Region, Account, Resource string }

// maxLength is AWS's limit, in bytes.
const maxLength = 2048

const parts = 6

// Parse reads the ARN of one resource. It is no place for the patterns of
// policies: a wildcard in front of the resource is refused. Account is twelve
// digits, empty, or "aws" for what belongs to AWS itself; Resource is not
// empty, may hold colons, and holds no control characters.
//
// The error does not repeat s, which may come from anybody.
func Parse(s string) (ARN, error) {
	if len(s) > maxLength {
		return ARN{}, errors.New("parse arn: longer than 2048 bytes")
	}
	fields := strings.SplitN(s, ":", parts)
	if len(fields) != parts || fields[0] != "arn" {
		return ARN{}, errors.New("parse arn: not of the form arn:partition:service:region:account:resource")
	}
	a := ARN{Partition: fields[1], Service: fields[2], Region: fields[3], Account: fields[4], Resource: fields[5]}
	switch {
	case a.Partition == "" || !isLabel(a.Partition):
		return ARN{}, errors.New("parse arn: bad partition")
	case a.Service == "" || !isLabel(a.Service):
		return ARN{}, errors.New("parse arn: bad service")
	case !isLabel(a.Region):
		return ARN{}, errors.New("parse arn: bad region")
	case a.Account != "" && a.Account != "aws" && !isAccountID(a.Account):
		return ARN{}, errors.New("parse arn: bad account")
	case a.Resource == "" || strings.ContainsFunc(a.Resource, isControl):
		return ARN{}, errors.New("parse arn: bad resource")
	}
	return a, nil
}

// String prints a. What Parse returned prints as what it was parsed from.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

func isLabel(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func isAccountID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
