// Package throttle bounds how often something may happen: calls of an account,
// and failed attempts to prove who one is. It is pure: time is an argument.
package throttle

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Quota is how many calls a second the operations of one group may have
// together, for one account in one region. A second's worth may come at once.
type Quota struct {
	PerSecond  int
	Operations []string // "secretsmanager:GetSecretValue"
}

// Limits are the quotas in force. The zero Limits refuse nothing.
type Limits struct{ quotas []Quota }

// aws are AWS's default quotas: "AWS Secrets Manager quotas", "IAM and STS
// quotas" and "AWS KMS request quotas", in the user guides. IAM and
// Organizations publish none. Where AWS's differ by region or by key, these are
// in between; those of less than one a second are one.
var aws = []Quota{
	{40_000, []string{"secretsmanager:DescribeSecret"}},
	{10_000, []string{"secretsmanager:GetSecretValue"}},
	{100, []string{"secretsmanager:BatchGetSecretValue"}},
	{100, []string{"secretsmanager:ListSecrets"}},
	{50, []string{"secretsmanager:CreateSecret"}},
	{50, []string{"secretsmanager:DeleteSecret"}},
	{50, []string{"secretsmanager:GetRandomPassword"}},
	{50, []string{"secretsmanager:ListSecretVersionIds"}},
	{50, []string{"secretsmanager:RestoreSecret"}},
	{50, []string{"secretsmanager:CancelRotateSecret", "secretsmanager:RotateSecret"}},
	{50, []string{"secretsmanager:TagResource", "secretsmanager:UntagResource"}},
	{50, []string{
		"secretsmanager:DeleteResourcePolicy", "secretsmanager:GetResourcePolicy",
		"secretsmanager:PutResourcePolicy", "secretsmanager:ValidateResourcePolicy",
	}},
	{50, []string{
		"secretsmanager:PutSecretValue", "secretsmanager:RemoveRegionsFromReplication",
		"secretsmanager:ReplicateSecretToRegions", "secretsmanager:StopReplicationToReplica",
		"secretsmanager:UpdateSecret", "secretsmanager:UpdateSecretVersionStage",
	}},
	{600, []string{
		"sts:AssumeRole", "sts:DecodeAuthorizationMessage", "sts:GetAccessKeyInfo",
		"sts:GetCallerIdentity", "sts:GetFederationToken", "sts:GetSessionToken",
	}},
	{10_000, []string{
		"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
		"kms:GenerateMac", "kms:GenerateRandom", "kms:ReEncrypt", "kms:VerifyMac",
	}},
	{1_000, []string{"kms:DeriveSharedSecret", "kms:Sign", "kms:Verify"}},
	{25, []string{"kms:GenerateDataKeyPair", "kms:GenerateDataKeyPairWithoutPlaintext"}},
	{2_000, []string{"kms:DescribeKey"}},
	{2_000, []string{"kms:GetPublicKey"}},
	{2_000, []string{"kms:ListResourceTags"}},
	{1_000, []string{"kms:GetKeyPolicy"}},
	{1_000, []string{"kms:GetKeyRotationStatus"}},
	{500, []string{"kms:ListAliases"}},
	{500, []string{"kms:ListKeys"}},
	{100, []string{"kms:ListGrants"}},
	{100, []string{"kms:ListKeyPolicies"}},
	{100, []string{"kms:ListKeyRotations"}},
	{100, []string{"kms:ListRetirableGrants"}},
	{50, []string{"kms:CreateGrant"}},
	{30, []string{"kms:RetireGrant"}},
	{30, []string{"kms:RevokeGrant"}},
	{15, []string{"kms:DeleteAlias"}},
	{15, []string{"kms:DeleteImportedKeyMaterial"}},
	{15, []string{"kms:EnableKeyRotation"}},
	{15, []string{"kms:ImportKeyMaterial"}},
	{15, []string{"kms:PutKeyPolicy"}},
	{15, []string{"kms:ScheduleKeyDeletion"}},
	{10, []string{"kms:TagResource"}},
	{5, []string{"kms:CancelKeyDeletion"}},
	{5, []string{"kms:CreateAlias"}},
	{5, []string{"kms:CreateKey"}},
	{5, []string{"kms:DisableKey"}},
	{5, []string{"kms:DisableKeyRotation"}},
	{5, []string{"kms:EnableKey"}},
	{5, []string{"kms:ReplicateKey"}},
	{5, []string{"kms:RotateKeyOnDemand"}},
	{5, []string{"kms:UntagResource"}},
	{5, []string{"kms:UpdateAlias"}},
	{5, []string{"kms:UpdateKeyDescription"}},
	{5, []string{"kms:UpdatePrimaryRegion"}},
	{1, []string{"kms:GetParametersForImport"}},
}

// Parse reads settings: "aws" stands for AWS's default quotas, "off" for none,
// and "secretsmanager:GetSecretValue=20000" gives an operation a quota of its
// own, in calls a second for each account and region, where 0 is none. Without
// "off" AWS's quotas are there. An error says which setting is wrong.
func Parse(settings []string) (Limits, error) {
	quotas := slices.Clone(aws)
	if slices.Contains(settings, "off") {
		if slices.Contains(settings, "aws") {
			return Limits{}, fmt.Errorf("rate limits cannot be both aws and off")
		}
		quotas = nil
	}
	own := map[string]int{}
	for _, s := range settings {
		if s == "aws" || s == "off" {
			continue
		}
		operation, figure, _ := strings.Cut(s, "=")
		n, err := strconv.ParseUint(figure, 10, 31)
		service, name, _ := strings.Cut(operation, ":")
		if err != nil || n > maxPerSecond || service == "" || name == "" {
			return Limits{}, fmt.Errorf("rate limit %q is neither aws, nor off, nor like secretsmanager:GetSecretValue=20000 (0 to %d a second)", s, maxPerSecond)
		}
		if _, twice := own[operation]; twice {
			return Limits{}, fmt.Errorf("rate limit of %s is given twice", operation)
		}
		own[operation] = int(n)
	}
	return Limits{override(quotas, own)}, nil
}

// depth is what a bucket holds: the calls of this time.
const depth = time.Second

// maxPerSecond keeps the time between two calls well above a nanosecond.
const maxPerSecond = 10_000_000

// override takes the operations that have a figure of their own out of the
// groups, which keep what else they have.
func override(quotas []Quota, own map[string]int) []Quota {
	var all []Quota
	for _, q := range quotas {
		rest := slices.DeleteFunc(slices.Clone(q.Operations), func(op string) bool {
			_, has := own[op]
			return has
		})
		if len(rest) > 0 {
			all = append(all, Quota{q.PerSecond, rest})
		}
	}
	for _, op := range slices.Sorted(maps.Keys(own)) {
		if own[op] > 0 {
			all = append(all, Quota{own[op], []string{op}})
		}
	}
	return all
}

// Calls counts the calls of accounts against Limits. It may be used
// concurrently. What it keeps grows with accounts and regions that call, not
// with calls: ask it only for accounts that are real.
type Calls struct {
	interval map[string]groupInterval // by operation; never changed

	mu      sync.RWMutex
	buckets map[bucketKey]*atomic.Int64
}

type groupInterval struct {
	group    int
	interval time.Duration // between two calls at the full rate
}

type bucketKey struct {
	account, region string
	group           int
}

// NewCalls begins to count.
func NewCalls(l Limits) *Calls {
	c := &Calls{interval: map[string]groupInterval{}, buckets: map[bucketKey]*atomic.Int64{}}
	for i, q := range l.quotas {
		for _, op := range q.Operations {
			c.interval[op] = groupInterval{i, time.Second / time.Duration(q.PerSecond)}
		}
	}
	return c
}

// Take counts a call of an operation ("secretsmanager:GetSecretValue") and
// returns 0, or, if the quota is used up, counts nothing and returns how long
// it takes until one more call may pass. A service that has one quota for all
// regions passes no region.
func (c *Calls) Take(account, region, operation string, now time.Time) time.Duration {
	g, limited := c.interval[operation]
	if !limited {
		return 0
	}
	return take(c.bucket(bucketKey{account, region, g.group}), g.interval, now)
}

func (c *Calls) bucket(k bucketKey) *atomic.Int64 {
	c.mu.RLock()
	b := c.buckets[k]
	c.mu.RUnlock()
	if b != nil {
		return b
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if b = c.buckets[k]; b == nil {
		k.account, k.region = strings.Clone(k.account), strings.Clone(k.region)
		b = new(atomic.Int64)
		c.buckets[k] = b
	}
	return b
}

// take is the generic cell rate algorithm: full is the moment (in Unix
// nanoseconds) at which the bucket would be full again. A call moves it by one
// interval, and may not move it further than depth from now. Only a clock that
// was set back can leave it further away; the bucket is then empty, and fills
// from now on, not once the clock is where it was.
func take(full *atomic.Int64, interval time.Duration, now time.Time) time.Duration {
	at := now.UnixNano()
	for {
		old := full.Load()
		if furthest := at + int64(depth); old > furthest {
			full.CompareAndSwap(old, furthest)
			continue
		}
		next := max(old, at) + int64(interval)
		if wait := next - at - int64(depth); wait > 0 {
			return time.Duration(wait)
		}
		if full.CompareAndSwap(old, next) {
			return 0
		}
	}
}
