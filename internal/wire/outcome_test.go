package wire_test

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/wire"
)

func TestFinishIsToldOfEachRequest(t *testing.T) {
	const service, op = "secretsmanager", "GetSecretValue"
	refusal := sigv4.Refuse(sigv4.Mismatch)
	for name, test := range map[string]struct {
		err  error // of the operation
		deny *sigv4.Error
		send *http.Request
		want wire.Outcome
	}{
		"answered":  {send: post(op, `{"SecretId":"a"}`), want: wire.Outcome{Service: service, Op: op, Status: 200}},
		"refused":   {err: model.ResourceNotFound("none"), send: post(op, `{"SecretId":"a"}`), want: wire.Outcome{Service: service, Op: op, Status: 400}},
		"failed":    {err: errors.New("disk"), send: post(op, `{"SecretId":"a"}`), want: wire.Outcome{Service: service, Op: op, Status: 500}},
		"not JSON":  {send: post(op, `planted`), want: wire.Outcome{Service: service, Op: op, Status: 400}},
		"unproven":  {deny: refusal, send: post(op, `{}`), want: wire.Outcome{Service: service, Op: op, Status: 400, Refused: refusal}},
		"unknown":   {send: post("Planted", `{}`), want: wire.Outcome{Status: 400}},
		"elsewhere": {send: at(post(op, `{}`), "/planted"), want: wire.Outcome{Status: 404}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(getSecretValue(&model.GetSecretValueOutput{SecretString: new(api.Sensitive("b"))}, test.err))
			if test.deny != nil {
				b.Authenticate = func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
					return nil, test.deny
				}
			}
			var got []wire.Outcome
			b.Finish = func(o wire.Outcome) {
				if n := b.InFlight(); n != 1 {
					t.Errorf("%d requests in flight while one is finishing", n)
				}
				got = append(got, o)
			}
			b.do(test.send)
			if len(got) == 1 && got[0].Duration <= 0 {
				t.Errorf("it took %v", got[0].Duration)
			}
			if diff := cmp.Diff([]wire.Outcome{test.want}, got, cmpopts.IgnoreFields(wire.Outcome{}, "Duration")); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if n := b.InFlight(); n != 0 {
				t.Errorf("%d requests in flight in the end", n)
			}
		})
	}
}

func at(r *http.Request, path string) *http.Request {
	r.URL.Path = path
	return r
}
