package sts

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
	"azekura/internal/policy"
)

// Lifetimes of sessions in seconds.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	hour            = 3600
	defaultLifetime = 12 * hour // of what GetSessionToken and GetFederationToken make
)

// roleLifetime is how long a session of a role lasts for who asks for some
// seconds, or for none in particular. Who comes with a session, and so might
// prolong their own for ever, is given an hour at most.
func roleLifetime(asked *int64, longest int64, chained bool) (int64, error) {
	if asked == nil {
		return hour, nil
	}
	switch {
	case chained && *asked > hour:
		return 0, api.Validation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	case *asked > longest:
		return 0, api.Validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return *asked, nil
}

// userLifetime is how long a user's or a federated session lasts.
func userLifetime(asked *int64) int64 {
	if asked == nil {
		return defaultLifetime
	}
	return *asked
}

// maxTags is how many tags a session has at most, with those of a chain.
const maxTags = 50

// sessionTags are the tags of a new session: those asked for, and what the
// calling session passes on. Keys are compared without case.
func sessionTags(asked []model.Tag, transitiveKeys []string, caller []tag) ([]tag, error) {
	transitive := map[string]bool{}
	for _, key := range transitiveKeys {
		transitive[fold(key)] = true
	}
	tags := make([]tag, 0, len(asked))
	given := map[string]bool{}
	for _, t := range asked {
		key := fold(*t.Key)
		switch {
		case given[key]:
			return nil, invalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case strings.HasPrefix(key, "aws:"):
			return nil, invalidParameter("Tag keys must not start with the reserved prefix aws:.")
		}
		given[key] = true
		tags = append(tags, tag{*t.Key, *t.Value, transitive[key]})
	}
	for _, t := range caller {
		switch {
		case !t.transitive:
		case given[fold(t.key)]:
			return nil, invalidParameter("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		default:
			tags = append(tags, t)
		}
	}
	for key := range transitive {
		if !given[key] {
			return nil, invalidParameter("The specified transitive tag key must be included in the requested tags.")
		}
	}
	if len(tags) > maxTags {
		return nil, tooMany("tags", maxTags)
	}
	return tags, nil
}

// fold makes keys that differ in case only the same.
func fold(key string) string { return policy.FoldKey(key) }

// What a session may be given. The first is AWS's, for all session policies
// together; AWS does not tell the second, for policies and tags as they are
// packed: ours leaves a token short enough for the header it travels in.
const (
	maxPolicyCharacters = 2048
	maxPackedBytes      = 6 << 10
	maxPolicyARNs       = 10
)

// packedPolicySize is which part of what a session may be given it takes, in
// percent: of the limit that it comes nearest to.
func packedPolicySize(c *claims) (int64, error) {
	characters := utf8.RuneCountInString(c.policy)
	for _, arn := range c.policyARNs {
		characters += utf8.RuneCountInString(arn)
	}
	const empty = 3 // counts of nothing
	size := max(percent(characters, maxPolicyCharacters), percent(c.packed()-empty, maxPackedBytes))
	if size > 100 {
		return 0, model.PackedPolicyTooLarge("Packed policy consumes %d%% of allotted space, please use smaller policy.", size)
	}
	return size, nil
}

// percent is rounded up: what is there is never 0 %, and what is over 100 is
// more than 100.
func percent(n, of int) int64 { return int64((100*n + of - 1) / of) }

func invalidParameter(message string) error {
	return &api.Error{Code: "InvalidParameterValue", Status: http.StatusBadRequest, Message: message}
}

func tooMany(member string, most int) error {
	return api.Validation(fmt.Sprintf("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", member, most))
}
