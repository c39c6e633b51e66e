package wire

import (
	"reflect"
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
)

func BenchmarkGetSecretValue(b *testing.B) {
	inPlan, err := planOf(reflect.TypeFor[model.GetSecretValueInput]())
	if err != nil {
		b.Fatal(err)
	}
	outPlan, err := planOf(reflect.TypeFor[model.GetSecretValueOutput]())
	if err != nil {
		b.Fatal(err)
	}
	out := &model.GetSecretValueOutput{
		ARN:           new("arn:aws:secretsmanager:us-east-1:111111111111:secret:prod/db-a1b2c3"),
		Name:          new("prod/db"),
		VersionId:     new("EXAMPLE1-90ab-cdef-fedc-ba987SECRET1"),
		SecretString:  new(api.Sensitive(`{"username":"admin","password":"correct horse battery staple"}`)),
		VersionStages: []string{"AWSCURRENT"},
		CreatedDate:   new(api.Timestamp(1523477145713)),
	}
	const request = `{"SecretId":"arn:aws:secretsmanager:us-east-1:111111111111:secret:prod/db-a1b2c3","VersionStage":"AWSCURRENT"}`
	b.ReportAllocs()
	for b.Loop() {
		body := newBuffer()
		body.add(request)
		in := new(model.GetSecretValueInput)
		if err := decode(body.bytes, in, inPlan); err != nil {
			b.Fatal(err)
		}
		if err := check(in, inPlan, open); err != nil {
			b.Fatal(err)
		}
		body.release()
		answer := newBuffer()
		encode(answer, out, outPlan)
		answer.release()
	}
}
