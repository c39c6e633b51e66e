package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"azekura/test/process"
)

// A Call is what a client asks of a secret. A version's value follows from its
// id, so that values need not be in the model.
type Call struct {
	Op, Secret string
	Version    string // that is made, read, or gets a label
	From       string // in a Move, the version that loses the label
	Label      string // in a Move, and in a Get that is not by Version
	Text       string // the new description, tag or policy
}

// What a client can ask.
const (
	Create       = "create"
	Put          = "put"
	PutPending   = "put pending"
	Update       = "update" // value and description
	Move         = "move"
	Delete       = "delete" // at once
	Schedule     = "schedule"
	Restore      = "restore"
	Tag          = "tag"
	Untag        = "untag"
	SetPolicy    = "set policy"
	RemovePolicy = "remove policy"
	Get          = "get"
	Describe     = "describe"
)

// Reads says whether the call changes nothing, whatever becomes of it.
func (c Call) Reads() bool { return c.Op == Get || c.Op == Describe }

// Unsent is why Send has no answer to a call of which the server has seen
// nothing.
var Unsent = errors.New("the server could not be reached")

// Send makes the call and returns what came back in the words of State.Apply.
// An error other than Unsent leaves open whether the server does what was
// asked, did it, or is going to.
func (c Call) Send(ctx context.Context, server *process.Server, client *http.Client) (answer string, err error) {
	op, members := c.request()
	var out answers
	err = server.Call(ctx, client, op, members, &out)
	if refusal, ok := errors.AsType[*process.Refusal](err); ok && refusal.Status == http.StatusBadRequest {
		return code(refusal.Body), nil
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return "", fmt.Errorf("%w: %w", Unsent, err)
	}
	if err != nil {
		return "", err
	}
	switch c.Op {
	case Get:
		return out.revealed(), nil
	case Describe:
		return out.state().labels(), nil
	}
	return Done, nil
}

// request is the operation of the API that the call is, and its members.
func (c Call) request() (op string, members map[string]any) {
	m := map[string]any{"SecretId": c.Secret}
	switch c.Op {
	case Create:
		return "CreateSecret", map[string]any{"Name": c.Secret, "ClientRequestToken": c.Version, "SecretString": Value(c.Version)}
	case Put, PutPending, Update:
		m["ClientRequestToken"], m["SecretString"] = c.Version, Value(c.Version)
		switch c.Op {
		case PutPending:
			m["VersionStages"] = []string{Pending}
		case Update:
			m["Description"] = c.Text
			return "UpdateSecret", m
		}
		return "PutSecretValue", m
	case Move:
		return "UpdateSecretVersionStage", c.chosen(m, "MoveToVersionId")
	case Delete:
		m["ForceDeleteWithoutRecovery"] = true
		return "DeleteSecret", m
	case Schedule:
		return "DeleteSecret", m
	case Restore:
		return "RestoreSecret", m
	case Tag:
		m["Tags"] = []map[string]string{{"Key": tagKey, "Value": c.Text}}
		return "TagResource", m
	case Untag:
		m["TagKeys"] = []string{tagKey}
		return "UntagResource", m
	case SetPolicy:
		m["ResourcePolicy"] = policy(c.Text)
		return "PutResourcePolicy", m
	case RemovePolicy:
		return "DeleteResourcePolicy", m
	case Describe:
		return "DescribeSecret", m
	}
	return "GetSecretValue", c.chosen(m, "VersionId")
}

// chosen adds which version is meant, as far as the call says.
func (c Call) chosen(m map[string]any, version string) map[string]any {
	for member, text := range map[string]string{version: c.Version, "RemoveFromVersionId": c.From, "VersionStage": c.Label} {
		if text != "" {
			m[member] = text
		}
	}
	return m
}

const tagKey = "tag"

// Value is the value of a version, of up to 4 KB.
func Value(version string) string {
	size := 0
	for _, r := range version {
		size = (size*31 + int(r)) % 4000
	}
	return fmt.Sprintf("value of %s %0*d", version, size, 0)
}

// policy is one that holds a text and changes nothing for the administrator.
func policy(text string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":%q,"Effect":"Allow",`+
		`"Principal":{"AWS":"111111111111"},"Action":"secretsmanager:DescribeSecret","Resource":"*"}]}`, text)
}

func policyText(document string) string {
	var d struct{ Statement []struct{ Sid string } }
	if err := json.Unmarshal([]byte(document), &d); err != nil || len(d.Statement) != 1 {
		return "another policy: " + document
	}
	return d.Statement[0].Sid
}

func code(body string) string {
	var e struct {
		Type string `json:"__type"`
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return err.Error()
	}
	return e.Type
}

// answers is what of the answers of all operations the model looks at.
type answers struct {
	VersionId, SecretString string
	VersionStages           []string

	Description        string
	DeletedDate        float64
	Tags               []struct{ Key, Value string }
	VersionIdsToStages map[string][]string

	ResourcePolicy string
	Versions       []struct{ VersionId string }
}

func (a answers) revealed() string {
	if a.SecretString != Value(a.VersionId) {
		return "the value of another version as that of " + a.VersionId
	}
	return revealed(a.VersionId, slices.Sorted(slices.Values(a.VersionStages)))
}
