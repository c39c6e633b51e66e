package wire

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/sigv4"
)

// maxUnsigned, in bytes, is the largest body that is read of a caller who has
// shown no key: a web identity token of 20,000 characters and a session policy
// of 2,048 fit with room to spare.
const maxUnsigned = 64 << 10

// A queryAPI is a service of the query protocol.
type queryAPI struct {
	name      string // the service's
	namespace string
	how       tone
	ops       map[string]*target
}

// awsQuery is the query protocol, in one request.
type awsQuery struct {
	*Handler
	api  *queryAPI // that is called, as far as is known; nil if it is not
	json bool      // whether the answer is wanted in JSON
}

func (h *Handler) handleQuery(s call.Service) {
	if h.queries == nil {
		h.queries = map[string]*queryAPI{}
	}
	if h.queries[s.Version] != nil || h.queryAPI(s.Name) != nil {
		panic("wire: service " + s.Name + " or its version is registered twice")
	}
	a := &queryAPI{name: s.Name, namespace: s.Namespace, ops: map[string]*target{}}
	if s.Discreet {
		a.how = discreet
	}
	for _, op := range s.Ops {
		if a.ops[op.Name] != nil {
			panic("wire: operation " + op.Name + " of " + s.Name + " is registered twice")
		}
		a.ops[op.Name] = targetOf(s, op)
		h.unsigned = h.unsigned || op.Unsigned
	}
	h.queries[s.Version] = a
}

// queryAPI finds a service by its name; nil is none.
func (h *Handler) queryAPI(name string) *queryAPI {
	for _, a := range h.queries {
		if a.name == name {
			return a
		}
	}
	return nil
}

// isQuery says whether a request speaks the query protocol: its parameters
// stand in the URL, in a form, or in both.
func isQuery(r *http.Request) bool {
	if len(r.Header["X-Amz-Target"]) > 0 || r.URL.Path != "/" {
		return false
	}
	switch r.Method {
	case http.MethodGet:
		return r.URL.RawQuery != ""
	case http.MethodPost:
		return r.URL.RawQuery != "" || isForm(r)
	}
	return false
}

func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// wantsJSON says whether JSON is what the caller wants most.
func wantsJSON(r *http.Request) bool {
	first, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
	first, _, _ = strings.Cut(first, ";")
	return strings.EqualFold(strings.TrimSpace(first), "application/json")
}

// receive authenticates the caller and reads the input. What is called stands
// in the body, so that the signature has to say at first for which service it
// is. As in JSON, nothing is read of those without a key, nor parsed of those
// who have not signed it; except that there are operations for strangers.
func (q *awsQuery) receive(w http.ResponseWriter, r *http.Request, c *call.Call, sent *message) (*target, any, error) {
	claim, err := sigv4.Parse(r)
	if e, ok := errors.AsType[*sigv4.Error](err); ok && e.Kind == sigv4.Missing && q.unsigned {
		return q.receiveUnsigned(w, r, c, sent)
	}
	if err != nil {
		return nil, nil, err
	}
	if q.api = q.queryAPI(claim.Service); q.api == nil {
		return nil, nil, &sigv4.Error{Kind: sigv4.Mismatch, Message: "Credential should be scoped to correct service. "}
	}
	c.Service = q.api.name
	if err := q.authenticate(w, r, c, q.api.name, sent); err != nil {
		return nil, nil, err
	}
	params, err := parametersOf(r, sent.bytes)
	if err != nil {
		return nil, nil, err
	}
	t, err := q.route(c, params)
	if err != nil {
		return nil, nil, err
	}
	if t.service != claim.Service {
		return nil, nil, &sigv4.Error{Kind: sigv4.Mismatch, Message: "Credential should be scoped to correct service: '" + t.service + "'. "}
	}
	if t.op.Unsigned {
		identify(c, &call.Call{Region: c.Region})
	}
	return q.input(c, t, params, sent)
}

func (q *awsQuery) receiveUnsigned(w http.ResponseWriter, r *http.Request, c *call.Call, sent *message) (*target, any, error) {
	if err := sent.receive(w, r, min(maxUnsigned, q.limit())); err != nil {
		return nil, nil, err
	}
	params, err := parametersOf(r, sent.bytes)
	if err != nil {
		return nil, nil, err
	}
	t, err := q.route(c, params)
	if err != nil {
		return nil, nil, err
	}
	if !t.op.Unsigned {
		return nil, nil, sigv4.Refuse(sigv4.Missing)
	}
	identify(c, &call.Call{Region: q.Region})
	return q.input(c, t, params, sent)
}

// input reads the operation's input and holds it against the model.
func (q *awsQuery) input(c *call.Call, t *target, params []parameter, sent *message) (*target, any, error) {
	if err := q.admit(c, sent); err != nil {
		return nil, nil, err
	}
	in := t.op.New()
	p, err := t.in()
	if err != nil {
		return nil, nil, err
	}
	if err := decodeForm(params, in, p); err != nil {
		return nil, nil, err
	}
	c.Input = in
	return t, in, check(in, p, q.api.how)
}

// parametersOf are those of the URL and those of the form.
func parametersOf(r *http.Request, body []byte) ([]parameter, error) {
	params, err := parseForm(nil, r.URL.RawQuery)
	if err == nil && isForm(r) {
		params, err = parseForm(params, string(body))
	}
	if err != nil {
		return nil, err
	}
	return params, unique(params)
}

// noVersion is what AWS calls the version of a request that names none.
const noVersion = "NO_VERSION_SPECIFIED"

// route finds what is called. The version says of which service; without one
// the signature does, and without that the operation, whose name no two
// services share.
func (q *awsQuery) route(c *call.Call, params []parameter) (*target, error) {
	var action, version string
	for _, p := range params {
		switch p.name {
		case "Action":
			action = p.value
		case "Version":
			version = p.value
		}
	}
	if action == "" {
		return nil, missingAction()
	}
	c.Service, c.Op = "", bounded(action, maxOperation)
	if version != "" {
		q.api = q.queries[version]
	} else {
		version = noVersion
		q.guess(action)
	}
	if q.api != nil {
		if t := q.api.ops[action]; t != nil {
			c.Service, c.Op = t.service, t.op.Name
			return t, nil
		}
	}
	return nil, invalidAction(c.Op, bounded(version, maxOperation))
}

// guess finds the service of an operation where neither version nor signature
// says it.
func (q *awsQuery) guess(action string) {
	if q.api != nil {
		return
	}
	for _, a := range q.queries {
		if a.ops[action] != nil {
			q.api = a
		}
	}
}

func missingAction() *api.Error {
	return &api.Error{
		Code: "MissingAction", Status: http.StatusBadRequest,
		Message: "The request is missing an action or a required parameter.",
	}
}

func invalidAction(action, version string) *api.Error {
	return &api.Error{
		Code: "InvalidAction", Status: http.StatusBadRequest,
		Message: "Could not find operation " + action + " for version " + version,
	}
}
