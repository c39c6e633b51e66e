package server

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"azekura/internal/api"
	kmsmodel "azekura/internal/api/kms"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/policy"
)

// noon is when asRoot calls.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// asRoot is a call of the first account's root user.
func asRoot(s *Server, service, op string, in any) *call.Call {
	root := "arn:aws:iam::" + s.cfg.AccountID + ":root"
	return &call.Call{
		Service: service, Op: op, Input: in, Time: noon, Region: s.cfg.Regions[0],
		Principal: call.Principal{Principal: policy.Principal{Kind: policy.Root, ARN: root, Entity: root, Account: s.cfg.AccountID, ID: s.cfg.AccountID}},
	}
}

// Secrets that will go with their key are told once a day, by name, and counted
// all the time.
func TestLossesAreTold(t *testing.T) {
	s := inMemory(t)
	var log strings.Builder
	s.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	ctx := t.Context()
	made, err := s.keys.CreateKey(ctx, asRoot(s, "kms", "CreateKey", nil), &kmsmodel.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	key := made.KeyMetadata.Arn
	create := &model.CreateSecretInput{Name: new("s"), KmsKeyId: key, SecretString: new(api.Sensitive("x")), ClientRequestToken: new(strings.Repeat("t", 32))}
	if _, err := s.secrets.CreateSecret(ctx, asRoot(s, "secretsmanager", "CreateSecret", create), create); err != nil {
		t.Fatal(err)
	}
	if _, err := s.secrets.GetSecretValue(ctx, asRoot(s, "secretsmanager", "GetSecretValue", nil), &model.GetSecretValueInput{SecretId: new("s")}); err != nil {
		t.Fatal(err)
	}
	tell, now := s.losses(), noon
	told := func(at time.Time) string {
		t.Helper()
		log.Reset()
		if _, err := tell(ctx, at); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	if text := told(now); text != "" || s.losing.Load() != 0 {
		t.Errorf("before anything is scheduled: %s", text)
	}
	if _, err := s.keys.ScheduleKeyDeletion(ctx, asRoot(s, "kms", "ScheduleKeyDeletion", nil), &kmsmodel.ScheduleKeyDeletionInput{KeyId: key}); err != nil {
		t.Fatal(err)
	}
	text := told(now)
	for _, want := range []string{*key, ":secret:s-", "by=arn:aws:iam::111111111111:root", "last_read=" + now.UTC().Format(time.DateOnly), "deletion=" + now.UTC().AddDate(0, 0, 30).Format(time.DateOnly)} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	if text := told(now); text != "" || s.losing.Load() != 1 {
		t.Errorf("again on the same day: %s; %d are losing their key", text, s.losing.Load())
	}
	if text := told(now.AddDate(0, 0, 1)); !strings.Contains(text, ":secret:s-") {
		t.Errorf("on the next day: %q", text)
	}
	if text := told(now.AddDate(0, 0, 31)); text != "" || s.losing.Load() != 0 {
		t.Errorf("when the key is gone: %s", text)
	}
}
