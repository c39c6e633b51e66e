// Package wire speaks AWS's JSON and query protocols: it turns an HTTP request
// into one call of one operation, and the answer or the error back into HTTP.
package wire

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/sigv4"
	"azekura/internal/store"
)

// defaultMaxBody, in bytes, holds the largest secret in its most wasteful
// encoding, six bytes for each of its 65,536, twice over.
const defaultMaxBody = 1 << 20

// A Handler serves AWS services over HTTP, the way their SDKs speak to them.
// Register them with Handle before it serves; then it may be used by many
// goroutines.
type Handler struct {
	// Authenticate says who is calling, in two stages: the first sees the
	// request before its body is read, the second has the body's hash and
	// checks the signature. What it says is confirmed by reads, unless they are
	// nil. It may be called again for the same request. Required.
	Authenticate func(r *http.Request, service string, from netip.Addr, now time.Time, reads *store.Reads) (verify func(bodySHA256 [32]byte) (*call.Call, error), err error)

	// NewReads begins what a request reads; nil, or a nil result, if that needs
	// no confirmation.
	NewReads func() *store.Reads

	// Admit, if set, says how long an authenticated call has to wait because its
	// caller's quota is used up; 0 lets it pass. It is asked before the input is
	// parsed.
	Admit func(c *call.Call) (wait time.Duration)

	// Closed, if set, says why no request is served now, whoever sends it; nil
	// if they are.
	Closed func() *api.Error

	// TrustedProxies are the networks whose word is taken for where a request
	// came from.
	TrustedProxies []netip.Prefix

	// Log gets one line a request. Required.
	Log *slog.Logger

	// Region is where calls take place that are not signed, and so name none.
	// Required if an operation is Unsigned.
	Region string

	// MaxBody is the largest request body that is read, in bytes; 0 is 1 MiB.
	MaxBody int64

	// Finish, if set, is told of each request after its answer was written, on
	// the request's goroutine.
	Finish func(Outcome)

	inFlight atomic.Int64
	lastDate atomic.Pointer[date]

	targets map[string]*target   // of the JSON protocol, by X-Amz-Target
	queries map[string]*queryAPI // by version

	unsigned  bool              // whether an operation is
	throttled map[string]string // what callers of a service are told, if it is not the usual
}

// An Outcome is what became of one request. Nothing in it was written by the
// sender: Service and Op are those of a registered operation. Both are empty if
// the request named none; Op alone is if the request was refused before it was
// read which operation of the service it names.
type Outcome struct {
	Service, Op string
	Status      int
	Duration    time.Duration // from the end of the headers to the end of the answer
	Refused     *sigv4.Error  // why the request is not authentic; nil if it is, or nobody looked
}

// A target is an operation as requests name it.
type target struct {
	service string
	op      call.Op
	in      func() (*plan, error) // made at the first request: a start need not wait for hundreds
	out     atomic.Pointer[plan]  // made at the first answer, which tells its type
}

// Handle registers a service. It panics if an operation is there already, or if
// the service does not say its protocol: both are errors of the program, as is
// what Check finds.
func (h *Handler) Handle(s call.Service) {
	if s.Throttled != "" {
		if h.throttled == nil {
			h.throttled = map[string]string{}
		}
		h.throttled[s.Name] = s.Throttled
	}
	switch {
	case (s.Target == "") == (s.Version == ""):
		panic("wire: service " + s.Name + " speaks JSON by its Target or the query protocol by its Version")
	case s.Target != "":
		h.handleJSON(s)
	default:
		h.handleQuery(s)
	}
}

func targetOf(s call.Service, op call.Op) *target {
	return &target{service: s.Name, op: op, in: sync.OnceValues(func() (*plan, error) {
		in, err := planOf(reflect.TypeOf(op.New()).Elem())
		if err != nil {
			return nil, fmt.Errorf("wire: operation %s of %s: %w", op.Name, s.Name, err)
		}
		return in, nil
	})}
}

// Check says whether the inputs of all registered operations can be read. It is
// for tests: which inputs there are does not depend on what is sent.
func (h *Handler) Check() error {
	var errs []error
	for _, t := range h.targets {
		_, err := t.in()
		errs = append(errs, err)
	}
	for _, a := range h.queries {
		for _, t := range a.ops {
			_, err := t.in()
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// InFlight is how many requests have arrived and are not answered yet.
func (h *Handler) InFlight() int64 { return h.inFlight.Load() }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.inFlight.Add(1)
	defer h.inFlight.Add(-1)
	c := h.arrived(r, time.Now())
	header := w.Header()
	header["X-Amzn-Requestid"] = []string{c.ID}
	header["Date"] = h.date(c.Time) // SDKs measure their clock's skew by it
	header["Cache-Control"] = noStore

	body := newBuffer()
	defer body.release()
	sent := messages.Get().(*message)
	defer sent.release()
	c.Spent = &sent.spent
	speak := h.dialect(r)
	var answer *api.Error
	var outcome Outcome
	if err := h.serve(w, r, c, sent, body, speak); err != nil {
		answer = speak.answerTo(err)
		outcome.Refused, _ = errors.AsType[*sigv4.Error](err)
	}
	outcome.Status = respond(w, c, body, answer, speak)
	outcome.Duration = time.Since(c.Time)
	h.record(r, c, answer, outcome)
	if h.Finish == nil {
		return
	}
	if c.Service != "" { // else Op is the sender's text
		outcome.Service, outcome.Op = c.Service, c.Op
	}
	h.Finish(outcome)
}

// A date is a second and the header that tells it.
type date struct {
	second int64
	header []string
}

// date is the value of a Date header, which nobody may change. It is the same
// for a second's requests.
func (h *Handler) date(now time.Time) []string {
	d := h.lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), []string{now.UTC().Format(http.TimeFormat)}}
		h.lastDate.Store(d)
	}
	return d.header
}

// arrived is the call before anything is known of its caller.
func (h *Handler) arrived(r *http.Request, now time.Time) *call.Call {
	c := &call.Call{
		ID:        uuid.NewString(),
		Time:      now,
		UserAgent: bounded(r.UserAgent(), maxUserAgent),
		Referer:   bounded(r.Referer(), maxUserAgent),
	}
	c.SourceIP, c.Secure = h.source(r)
	if r.TLS != nil {
		c.TLS = strings.Replace(tls.VersionName(r.TLS.Version), "TLS ", "TLSv", 1) // as CloudTrail spells it
	}
	return c
}

// A dialect is one of AWS's protocols, in the mouth of one request.
type dialect interface {
	// receive finds out what is called and by whom, and reads the input. It
	// fills c on the way. It may be called again for the same request.
	receive(w http.ResponseWriter, r *http.Request, c *call.Call, sent *message) (t *target, in any, err error)
	// encode appends the answer: out, which p plans, or nothing if out is nil.
	encode(b *buffer, c *call.Call, out any, p *plan)
	// answerTo is the error that the caller is told of.
	answerTo(err error) *api.Error
	// encodeError appends e, and may set headers.
	encodeError(b *buffer, header http.Header, c *call.Call, e *api.Error)
	contentType() []string
}

// dialect hears how a request speaks. All that is not of the query protocol
// is answered in JSON.
func (h *Handler) dialect(r *http.Request) dialect {
	if len(h.queries) > 0 && isQuery(r) {
		return &awsQuery{Handler: h, json: wantsJSON(r)}
	}
	return awsJSON{h}
}

// serve is what all operations share. It fills c on the way, and leaves the
// answer in body.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, c *call.Call, sent *message, body *buffer, speak dialect) (err error) {
	defer h.contain(c, &err)
	if h.Closed != nil {
		if closed := h.Closed(); closed != nil {
			return closed
		}
	}
	t, out, err := h.run(w, r, c, sent, speak)
	if err != nil {
		return abandoned(r.Context(), err)
	}
	if out == nil {
		speak.encode(body, c, nil, nil)
		return nil
	}
	p, err := t.outputPlan(out)
	if err != nil {
		return err
	}
	speak.encode(body, c, out, p)
	return nil
}

// limit is the largest body that is read of a caller with a key, in bytes.
func (h *Handler) limit() int64 { return cmp.Or(h.MaxBody, defaultMaxBody) }

// maxTries bounds how often a request is served because what it went by was out
// of date. The last time it makes sure of each thing before it goes on.
const maxTries = 4

// run serves a request, from the signature on, until all that the answer goes
// by was true at one instant. A refusal goes by what was read, too. A change is
// made only once all that the caller was recognized and allowed by is confirmed.
func (h *Handler) run(w http.ResponseWriter, r *http.Request, c *call.Call, sent *message, speak dialect) (*target, any, error) {
	defer sent.forget()
	arrived := *c
	for try := 1; ; try++ {
		*c = arrived
		if h.NewReads != nil && try < maxTries {
			c.Reads = h.NewReads()
		}
		var out any
		t, in, err := speak.receive(w, r, c, sent)
		if err == nil && t.op.Reads {
			out, err = t.op.Run(r.Context(), c, in)
		}
		doubt := c.Confirm(r.Context())
		switch {
		case errors.Is(doubt, store.ErrOutdated):
			continue
		case doubt != nil:
			return nil, nil, doubt
		case err != nil || t.op.Reads:
			return t, out, err
		}
		c.Reads = nil
		sent.forget()
		out, err = t.op.Run(r.Context(), c, in)
		return t, out, err
	}
}

// A message is what a request brings, through all tries to serve it: its body is
// read once, and it counts once.
type message struct {
	*buffer  // nil before it is read, and when it has been forgotten
	read     bool
	err      error // why not to the end
	admitted bool
	spent    [][]byte // see call.Call.Wipe
}

var messages = sync.Pool{New: func() any { return new(message) }}

// receive reads the body, of at most limit bytes.
func (m *message) receive(w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return tooLarge()
	}
	if !m.read {
		m.read, m.buffer = true, newBuffer()
		m.err = m.readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	}
	if m.err != nil {
		return unread(m.err)
	}
	return nil
}

// forget gives the body's memory back, which may be much.
func (m *message) forget() {
	if m.buffer != nil {
		m.buffer.release()
		m.buffer = nil
	}
}

// release ends the request: nothing that it brought or was answered is needed
// any more.
func (m *message) release() {
	m.forget()
	for _, b := range m.spent {
		clear(b)
	}
	clear(m.spent)
	*m = message{spent: m.spent[:0]}
	messages.Put(m)
}

// authenticate finds out who calls a service, and reads the body. Whoever has
// not shown a key that we know, and in time, cannot make us read a body; whoever
// has not signed the body cannot make us parse it.
func (h *Handler) authenticate(w http.ResponseWriter, r *http.Request, c *call.Call, service string, sent *message) error {
	if r.ContentLength > h.limit() {
		return tooLarge()
	}
	verify, err := h.Authenticate(r, service, c.SourceIP, c.Time, c.Reads)
	if err != nil {
		return err
	}
	if err := sent.receive(w, r, h.limit()); err != nil {
		return err
	}
	caller, err := verify(sha256.Sum256(sent.bytes))
	if err != nil {
		return err
	}
	identify(c, caller)
	return nil
}

// identify makes c the authenticated call, and keeps what is known of the
// request.
func identify(c, caller *call.Call) {
	known := *c
	*c = *caller
	c.ID, c.Time = known.ID, known.Time
	c.Service, c.Op, c.Reads = known.Service, known.Op, known.Reads
	c.SourceIP, c.UserAgent, c.Referer = known.SourceIP, known.UserAgent, known.Referer
	c.TLS, c.Secure, c.Spent = known.TLS, known.Secure, known.Spent
}

// admit refuses a call whose caller's quota is used up.
func (h *Handler) admit(c *call.Call, sent *message) error {
	if h.Admit == nil || sent.admitted {
		return nil
	}
	if wait := h.Admit(c); wait > 0 {
		e := api.Throttled(wait)
		e.Message = cmp.Or(h.throttled[c.Service], e.Message)
		return e
	}
	sent.admitted = true
	return nil
}

func (t *target) outputPlan(out any) (*plan, error) {
	if p := t.out.Load(); p != nil {
		return p, nil
	}
	p, err := planOf(reflect.TypeOf(out).Elem())
	if err != nil {
		return nil, err
	}
	t.out.Store(p)
	return p, nil
}

// noStore is a header value of every answer, which nobody changes.
var noStore = []string{"no-store"}

// respond writes the answer, or the error if there is one, and returns the
// status.
func respond(w http.ResponseWriter, c *call.Call, body *buffer, e *api.Error, speak dialect) int {
	status := http.StatusOK
	header := w.Header()
	if e != nil {
		status = e.Status
		clear(body.bytes)
		body.bytes = body.bytes[:0]
		speak.encodeError(body, header, c, e)
		if status == http.StatusRequestEntityTooLarge || status == http.StatusRequestTimeout {
			header.Set("Connection", "close") // the rest of the body may still come
		}
		if e.RetryAfter > 0 { // in whole seconds, RFC 9110 section 10.2.3
			header.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
		}
	}
	header["Content-Type"] = speak.contentType()
	header["Content-Length"] = []string{strconv.Itoa(len(body.bytes))}
	w.WriteHeader(status)
	w.Write(body.bytes)
	return status
}
