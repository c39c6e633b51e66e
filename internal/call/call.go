// Package call is one AWS request in flight: who asks, for what, when, from
// where. It is made at the door, goes down through one service to the store,
// and comes back as one answer and one line of the log and the audit trail.
package call

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"azekura/internal/api"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A Call is one request of one operation. It belongs to one goroutine.
type Call struct {
	ID        string    // the request id, a UUID
	Time      time.Time // when it arrived
	Service   string    // IAM prefix: "secretsmanager"
	Op        string    // "GetSecretValue"
	Input     any       // decoded; what policies and the audit trail know of the request
	Region    string    // of the credential scope
	Principal Principal
	Policies  *policy.Set // all that bear on the principal, compiled; nil allows nothing

	// Reads is what the call goes by and has not confirmed, from the caller's
	// credential on. It is nil for an operation that is bound with Bind.
	Reads *store.Reads

	AccessKeyID string
	SourceIP    netip.Addr // of the client, as the last proxy that is trusted tells it
	UserAgent   string
	Referer     string // of the HTTP header, or ""
	TLS         string // "TLSv1.3", or "" for plain HTTP
	Secure      bool   // whether the client spoke TLS, here or to a proxy that is trusted

	// Via names the services that pass the principal's call on, the first
	// first; nil if the principal calls itself.
	Via []string
	// SourceARN is the resource for which a service calls for itself, and
	// SourceAccount who owns that.
	SourceARN, SourceAccount string

	// Filled while the call is served; read by the log and the audit trail.
	Resource string // ARN, or what the caller named if it does not exist
	Decision policy.Decision

	// Stale says that the database was away, and that the caller, the secret or
	// the key is as it was a while ago, at most max-stale. Confirm sets it.
	Stale bool

	// Spent is what is wiped after the answer, see Wipe. It is nil where nobody
	// wipes, as in calls that a test makes.
	Spent *[][]byte

	keys keyValues
}

// Wipe has b overwritten with zeros once the call's answer is written, or the
// call has failed: for what must be in the clear until then, and is of no use
// after that. Of an input in the JSON protocol, whatever is Sensitive may be
// given: package wire keeps each in memory of its own, also where that is the
// text of a string. In the query protocol texts share the memory of others.
func (c *Call) Wipe(b []byte) {
	if c.Spent != nil {
		*c.Spent = append(*c.Spent, b)
	}
}

// Confirm makes sure of all that the call has read, see store.Reads. An
// operation bound with BindRead calls it before it changes anything; after a
// last time before the answer it is answered. An error is the call's end.
func (c *Call) Confirm(ctx context.Context) error {
	stale, err := c.Reads.Confirm(ctx)
	c.Stale = c.Stale || stale
	return err
}

// A Target is what a call acts on, as policies see it.
type Target struct {
	ARN     string           // or "*" for operations without a resource
	Named   string           // what a denial calls it, if not by its ARN
	Account string           // who owns it; "" stands for the account in its ARN
	Policy  *policy.Document // the resource's own; nil if it has none
	// Keys looks up the condition keys of the service, and those that begin with
	// aws: and are about the resource or the tags of the request: aws:ResourceTag,
	// aws:RequestTag, aws:TagKeys. All others that begin with aws: are the
	// call's. It may be nil.
	Keys policy.Keys
	// MustAllow says that Policy has to consent even within one account.
	MustAllow bool
	// Granted says that the resource's owner consents to the very caller, beyond
	// what Policy says. Statements that deny hold.
	Granted bool
}

// Allow returns nil if the caller may do the call's own operation on t, and
// AWS's AccessDeniedException if not, which names the target unless there is
// none. It records target and decision.
func (c *Call) Allow(t Target) error { return c.AllowAction(c.Service+":"+c.Op, t) }

// AllowAction is Allow for another action that the call depends on, such as
// secretsmanager:TagResource for a CreateSecret with tags.
func (c *Call) AllowAction(action string, t Target) error {
	d := c.Decide(action, t)
	if d.Allowed {
		return nil
	}
	on := ""
	if c.Resource != "*" {
		on = " on resource: " + c.Resource
	}
	return api.AccessDenied("User: %s is not authorized to perform: %s%s %s", c.Principal.ARN, action, on, d.Because(action))
}

// Decide is AllowAction for who words the denial differently, or has to know
// what decided. It records target and decision.
func (c *Call) Decide(action string, t Target) policy.Decision {
	c.Resource = cmp.Or(t.Named, t.ARN)
	c.Decision = c.Would(action, t)
	return c.Decision
}

// Would is Decide for a question that is not the call's own, such as whether
// its caller could undo what it is about to do. It records nothing.
func (c *Call) Would(action string, t Target) policy.Decision {
	return c.Policies.Decide(policy.Request{
		Principal:       &c.Principal.Principal,
		Action:          action,
		Resource:        t.ARN,
		ResourceAccount: t.Account,
		Keys:            func(key string) ([]string, bool) { return c.key(&t, key) },
		MustAllow:       t.MustAllow,
		Granted:         t.Granted,
	}, t.Policy)
}

// As is a call of another operation of the same service that c's caller makes
// through c, such as each GetSecretValue of a BatchGetSecretValue. It is
// decided, and will be recorded, on its own.
func (c *Call) As(op string, in any) *Call {
	sub := *c
	sub.Op, sub.Input = op, in
	sub.Resource, sub.Decision = "", policy.Decision{}
	return &sub
}

// Onward is a call of an operation of another service, which c's service makes
// for c's caller: with the caller's permissions, and on c's word for where it
// came from. It is decided on its own.
func (c *Call) Onward(service, op string, in any) *Call {
	sub := *c
	sub.Service, sub.Op, sub.Input = service, op, in
	sub.Via = append(slices.Clip(c.Via), c.Service+".amazonaws.com")
	sub.Resource, sub.Decision = "", policy.Decision{}
	sub.keys = keyValues{} // some are not the same through a service
	return &sub
}

// LogValue is the call as one group of log attributes. It holds names and
// outcomes only: inputs and outputs never reach it.
func (c *Call) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("id", c.ID),
		slog.String("service", c.Service),
		slog.String("operation", c.Op),
		slog.String("region", c.Region),
		slog.String("principal", c.Principal.ARN),
		slog.String("access_key", c.AccessKeyID),
		slog.String("source", c.SourceIP.String()),
		slog.String("resource", c.Resource),
	}
	if c.Stale {
		attrs = append(attrs, slog.Bool("stale", true))
	}
	return slog.GroupValue(attrs...)
}
