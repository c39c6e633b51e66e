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
		call.BindRead("Decrypt", s.Decrypt),
		call.BindRead("Encrypt", s.Encrypt),
		call.BindRead("GenerateDataKey", s.GenerateDataKey),
		call.BindRead("GenerateDataKeyPair", s.GenerateDataKeyPair),
		call.BindRead("GenerateDataKeyPairWithoutPlaintext", s.GenerateDataKeyPairWithoutPlaintext),
		call.BindRead("GenerateDataKeyWithoutPlaintext", s.GenerateDataKeyWithoutPlaintext),
		call.BindRead("GenerateRandom", s.GenerateRandom),
		call.BindRead("ReEncrypt", s.ReEncrypt),
		call.BindRead("ListKeys", s.ListKeys),
	}}
}
