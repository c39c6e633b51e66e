package kms

import (
	model "azekura/internal/api/kms"
	"azekura/internal/call"
)

// API is the service as the wire serves it: one line an operation.
func (s *Service) API() call.Service {
	return call.Service{Name: "kms", Target: model.Target, Ops: []call.Op{
		call.Bind("CreateKey", s.CreateKey),
		call.BindRead("DescribeKey", s.DescribeKey),
		call.BindRead("ListKeys", s.ListKeys),
	}}
}
