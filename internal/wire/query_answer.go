package wire

import (
	"net/http"
	"strings"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/sigv4"
)

// faultNamespace is that of errors in front of every service.
const faultNamespace = "http://webservices.amazon.com/AWSFault/2005-15-09"

func (q *awsQuery) namespace() string {
	if q.api == nil {
		return faultNamespace
	}
	return q.api.namespace
}

// encode wraps an answer into elements, or JSON objects, that are called after
// the operation.
func (q *awsQuery) encode(b *buffer, c *call.Call, out any, p *plan) {
	response, result := c.Op+"Response", c.Op+"Result"
	if q.json {
		b.add(`{"` + response + `":{`)
		if out != nil {
			b.add(`"` + result + `":`)
			encode(b, out, p)
			b.add(",")
		}
		b.add(`"ResponseMetadata":{"RequestId":"` + c.ID + `"}}}`)
		return
	}
	b.add("<" + response + ` xmlns="` + q.namespace() + `">`)
	if out != nil {
		encodeXML(b, result, out, p)
	}
	b.add("<ResponseMetadata><RequestId>" + c.ID + "</RequestId></ResponseMetadata></" + response + ">")
}

// encodeError blames the sender for all but what the server does wrong.
func (q *awsQuery) encodeError(b *buffer, _ http.Header, c *call.Call, e *api.Error) {
	blame := "Sender"
	if e.Status >= http.StatusInternalServerError {
		blame = "Receiver"
	}
	if q.json {
		b.add(`{"Error":{"Code":`)
		b.quoted(e.Code)
		b.add(`,"Message":`)
		b.quoted(e.Message)
		b.add(`,"Type":"` + blame + `"},"RequestId":"` + c.ID + `"}`)
		return
	}
	b.add(`<ErrorResponse xmlns="` + q.namespace() + `"><Error><Type>` + blame + "</Type><Code>")
	b.escaped(e.Code)
	b.add("</Code>")
	if e.Message != "" {
		b.add("<Message>")
		b.escaped(e.Message)
		b.add("</Message>")
	}
	b.add("</Error><RequestId>" + c.ID + "</RequestId></ErrorResponse>")
}

// Content types of the query protocol's answers, which nobody changes.
var (
	xmlType      = []string{"text/xml"}
	bareJSONType = []string{"application/json"}
)

func (q *awsQuery) contentType() []string {
	if q.json {
		return bareJSONType
	}
	return xmlType
}

// queryErrors are the framework's errors as the query protocol has them, by
// the code that they have in JSON. Nobody changes them.
var queryErrors = map[string]struct {
	code   string
	status int
}{
	"AccessDeniedException":          {"AccessDenied", http.StatusForbidden},
	"ValidationException":            {"ValidationError", http.StatusBadRequest},
	"SerializationException":         {"MalformedInput", http.StatusBadRequest},
	"ThrottlingException":            {"Throttling", http.StatusBadRequest},
	"RequestEntityTooLargeException": {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge},
	"RequestTimeoutException":        {"RequestTimeout", http.StatusRequestTimeout},
}

// answerTo gives the framework's errors the names that they have here: a wing
// and what it stands on need not know which protocol it is called in.
func (q *awsQuery) answerTo(err error) *api.Error {
	if e := told(err); e != nil {
		if here, ok := queryErrors[e.Code]; ok && !e.Modelled {
			renamed := *e
			renamed.Code, renamed.Status = here.code, here.status
			return &renamed
		}
		return e
	}
	if e := refusal(err, queryRefusals, http.StatusForbidden); e != nil {
		e.Message = q.refusalText(e)
		return e
	}
	return &api.Error{
		Code:    "InternalFailure",
		Status:  http.StatusInternalServerError,
		Message: "The request processing has failed because of an unknown error, exception or failure.",
		Err:     err,
	}
}

// refusalText is what AWS says otherwise than in JSON. STS leaves out a stop.
func (q *awsQuery) refusalText(e *api.Error) string {
	switch {
	case e.Code == queryRefusals[sigv4.Missing]:
		return "Request is missing Authentication Token"
	case e.Code == queryRefusals[sigv4.UnknownKey] && q.api != nil && q.api.name == "sts":
		return strings.TrimSuffix(e.Message, ".")
	}
	return e.Message
}
