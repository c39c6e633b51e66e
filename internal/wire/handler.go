// Package wire speaks AWS's JSON protocol: it turns an HTTP request into one
// call of one operation, and the answer or the error back into HTTP.
package wire

import (
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
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/sigv4"
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
	// checks the signature. Required.
	Authenticate func(r *http.Request, service string, now time.Time) (verify func(bodySHA256 [32]byte) (*call.Call, error), err error)

	// Log gets one line a request. Required.
	Log *slog.Logger

	// MaxBody is the largest request body that is read, in bytes; 0 is 1 MiB.
	MaxBody int64

	// Finish, if set, is told of each request after its answer was written, on
	// the request's goroutine.
	Finish func(Outcome)

	inFlight atomic.Int64
	lastDate atomic.Pointer[date]

	targets map[string]*target // by X-Amz-Target
}

// An Outcome is what became of one request. Nothing in it was written by the
// sender: Service and Op are those of a registered operation, and both are
// empty if the request named none.
type Outcome struct {
	Service, Op string
	Status      int
	Duration    time.Duration // from the end of the headers to the end of the answer
	Refused     *sigv4.Error  // why the request is not authentic; nil if it is, or nobody looked
}

// A target is what one X-Amz-Target names.
type target struct {
	service string
	op      call.Op
	in      *plan
	out     atomic.Pointer[plan] // made at the first answer, which tells its type
}

// Handle registers a service. It panics if an operation is there already, or
// if its input cannot be read: both are errors of the program.
func (h *Handler) Handle(s call.Service) {
	if h.targets == nil {
		h.targets = map[string]*target{}
	}
	for _, op := range s.Ops {
		name := s.Target + "." + op.Name
		if _, twice := h.targets[name]; twice {
			panic("wire: operation " + name + " is registered twice")
		}
		in, err := planOf(reflect.TypeOf(op.New()).Elem())
		if err != nil {
			panic(fmt.Sprintf("wire: operation %s: %v", name, err))
		}
		h.targets[name] = &target{service: s.Name, op: op, in: in}
	}
}

// InFlight is how many requests have arrived and are not answered yet.
func (h *Handler) InFlight() int64 { return h.inFlight.Load() }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.inFlight.Add(1)
	defer h.inFlight.Add(-1)
	c := arrived(r, time.Now())
	header := w.Header()
	header["X-Amzn-Requestid"] = []string{c.ID}
	header["Date"] = h.date(c.Time) // SDKs measure their clock's skew by it
	header["Cache-Control"] = noStore

	body := newBuffer()
	defer body.release()
	var answer *api.Error
	var outcome Outcome
	if err := h.serve(w, r, c, body); err != nil {
		answer = answerTo(err)
		outcome.Refused, _ = errors.AsType[*sigv4.Error](err)
	}
	outcome.Status = respond(w, body, answer)
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
func arrived(r *http.Request, now time.Time) *call.Call {
	c := &call.Call{
		ID:        uuid.NewString(),
		Time:      now,
		UserAgent: bounded(r.UserAgent(), maxUserAgent),
	}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.SourceIP = from.Addr().Unmap()
	}
	if r.TLS != nil {
		c.TLS = strings.Replace(tls.VersionName(r.TLS.Version), "TLS ", "TLSv", 1) // as CloudTrail spells it
	}
	return c
}

// serve is what all operations share. It fills c on the way, and leaves the
// answer in body.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, c *call.Call, body *buffer) (err error) {
	defer h.contain(c, &err)
	t, err := h.route(r, c)
	if err != nil {
		return err
	}
	in, err := h.receive(w, r, c, t)
	if err != nil {
		return abandoned(r.Context(), err)
	}
	out, err := t.op.Run(r.Context(), c, in)
	if err != nil || out == nil {
		return abandoned(r.Context(), err)
	}
	p, err := t.outputPlan(out)
	if err != nil {
		return err
	}
	encode(body, out, p)
	return nil
}

// route finds what is called. AWS's clients know one method and one path, and
// name the operation in a header; a header sent twice is read differently by
// different readers, and so by none.
func (h *Handler) route(r *http.Request, c *call.Call) (*target, error) {
	names := r.Header["X-Amz-Target"]
	if len(names) > 0 {
		c.Op = bounded(names[0], maxOperation)
	}
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, unknownPath()
	}
	if len(names) != 1 {
		return nil, api.UnknownOperation()
	}
	t, ok := h.targets[names[0]]
	if !ok {
		return nil, api.UnknownOperation()
	}
	c.Service, c.Op = t.service, t.op.Name
	return t, nil
}

// receive authenticates the caller and reads the input. Whoever has not shown
// a key that we know, and in time, cannot make us read a body; whoever has not
// signed the body cannot make us parse it.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, c *call.Call, t *target) (any, error) {
	limit := h.MaxBody
	if limit == 0 {
		limit = defaultMaxBody
	}
	if r.ContentLength > limit {
		return nil, tooLarge()
	}
	verify, err := h.Authenticate(r, t.service, c.Time)
	if err != nil {
		return nil, err
	}
	body := newBuffer()
	defer body.release()
	if err := body.readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength); err != nil {
		return nil, unread(err)
	}
	caller, err := verify(sha256.Sum256(body.bytes))
	if err != nil {
		return nil, err
	}
	identify(c, caller)
	in := t.op.New()
	if err := decode(body.bytes, in, t.in); err != nil {
		return nil, err
	}
	c.Input = in
	return in, check(in, t.in)
}

// identify makes c the authenticated call, and keeps what is known of the
// request.
func identify(c, caller *call.Call) {
	known := *c
	*c = *caller
	c.ID, c.Time = known.ID, known.Time
	c.Service, c.Op = known.Service, known.Op
	c.SourceIP, c.UserAgent, c.TLS = known.SourceIP, known.UserAgent, known.TLS
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

// Header values of every answer, which nobody changes.
var (
	noStore  = []string{"no-store"}
	jsonType = []string{"application/x-amz-json-1.1"}
)

// respond writes the answer, or the error if there is one, and returns the
// status.
func respond(w http.ResponseWriter, body *buffer, e *api.Error) int {
	status := http.StatusOK
	header := w.Header()
	if e != nil {
		status = e.Status
		clear(body.bytes)
		body.bytes = body.bytes[:0]
		encodeError(body, e)
		header.Set("X-Amzn-Errortype", e.Code)
		if status == http.StatusRequestEntityTooLarge || status == http.StatusRequestTimeout {
			header.Set("Connection", "close") // the rest of the body may still come
		}
	}
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(body.bytes))}
	w.WriteHeader(status)
	w.Write(body.bytes)
	return status
}
