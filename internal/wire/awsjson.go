package wire

import (
	"bytes"
	"net/http"

	"azekura/internal/api"
	"azekura/internal/call"
)

// awsJSON is version 1.1 of the JSON protocol.
type awsJSON struct{ *Handler }

func (h *Handler) handleJSON(s call.Service) {
	if h.targets == nil {
		h.targets = map[string]*target{}
	}
	for _, op := range s.Ops {
		name := s.Target + "." + op.Name
		if _, twice := h.targets[name]; twice {
			panic("wire: operation " + name + " is registered twice")
		}
		if op.Unsigned {
			panic("wire: operation " + name + " is unsigned, which the JSON protocol has none of")
		}
		h.targets[name] = targetOf(s, op)
	}
}

// receive authenticates the caller and reads the input.
func (h awsJSON) receive(w http.ResponseWriter, r *http.Request, c *call.Call, sent *message) (*target, any, error) {
	t, err := h.route(r, c)
	if err != nil {
		return nil, nil, err
	}
	if err := h.authenticate(w, r, c, t.service, sent); err != nil {
		return nil, nil, err
	}
	if err := h.admit(c, sent); err != nil {
		return nil, nil, err
	}
	in := t.op.New()
	p, err := t.in()
	if err != nil {
		return nil, nil, err
	}
	if err := read(c, sent, in, p); err != nil {
		return nil, nil, err
	}
	c.Input = in
	return t, in, check(in, p, open)
}

// read decodes a body. What is overwritten where it has escapes is a copy, if
// it may be read again: the body would not be what was signed any more.
func read(c *call.Call, sent *message, in any, p *plan) error {
	body := sent.bytes
	if c.Reads != nil && bytes.IndexByte(body, '\\') >= 0 {
		spare := newBuffer()
		defer spare.release()
		spare.reserve(len(body))
		spare.bytes = append(spare.bytes, body...)
		body = spare.bytes
	}
	return decode(body, in, p)
}

// route finds what is called. AWS's clients know one method and one path, and
// name the operation in a header; a header sent twice is read differently by
// different readers, and so by none.
func (h awsJSON) route(r *http.Request, c *call.Call) (*target, error) {
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

// encode writes no body where there is no output.
func (awsJSON) encode(b *buffer, _ *call.Call, out any, p *plan) {
	if out != nil {
		encode(b, out, p)
	}
}

func (awsJSON) answerTo(err error) *api.Error {
	if e := told(err); e != nil {
		return e
	}
	if e := refusal(err, jsonRefusals, http.StatusBadRequest); e != nil {
		return e
	}
	return &api.Error{
		Code:     "InternalServiceError",
		Status:   http.StatusInternalServerError,
		Message:  "An error occurred on the server side.",
		Modelled: true,
		Err:      err,
	}
}

// encodeError appends e's body. AWS spells the message's member one way in a
// service's own errors and another way in those of its framework.
func (awsJSON) encodeError(b *buffer, header http.Header, _ *call.Call, e *api.Error) {
	header.Set("X-Amzn-Errortype", e.Code)
	b.add(`{"__type":`)
	b.quoted(e.Code)
	if e.Message != "" {
		if e.Modelled {
			b.add(`,"Message":`)
		} else {
			b.add(`,"message":`)
		}
		b.quoted(e.Message)
	}
	b.add("}")
}

var jsonType = []string{"application/x-amz-json-1.1"} // which nobody changes

func (awsJSON) contentType() []string { return jsonType }
