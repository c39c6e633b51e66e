package iam

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"strconv"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// reportAge is how long a credential report is kept: AWS's four hours.
const reportAge = 4 * time.Hour

// reportChunk is how many users are read at a time for a report.
const reportChunk = 256

// reportColumns are AWS's.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
var reportColumns = []string{
	"user", "arn", "user_creation_time",
	"password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
	"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
	"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
	"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
}

const notThere = "N/A"

// GenerateCredentialReport makes a report of what the account's users sign in
// and sign with, if the last one is older than four hours. It is there when the
// answer is.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateCredentialReport.html
func (s *Service) GenerateCredentialReport(ctx context.Context, c *call.Call, _ *model.GenerateCredentialReportInput) (*model.GenerateCredentialReportOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	held, err := s.readReport(ctx, c.Principal.Account)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err == nil && !held.isOld(c.Time) {
		return &model.GenerateCredentialReportOutput{State: new("COMPLETE")}, nil
	}
	made := reportRow{account: c.Principal.Account, generated: api.At(c.Time)}
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		made.content, err = credentialReport(tx, made.account)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.db.Update(ctx, func(tx *store.Tx) error { return putReport(tx, made) }); err != nil {
		return nil, err
	}
	return &model.GenerateCredentialReportOutput{
		State: new("STARTED"), Description: new("No report exists. Starting a new report generation task"),
	}, nil
}

func (s *Service) readReport(ctx context.Context, account string) (held reportRow, err error) {
	err = s.db.Look(ctx, func(tx *store.Tx) (err error) {
		held, err = selectReport(tx, account)
		return err
	})
	return held, err
}

func (r *reportRow) isOld(now time.Time) bool { return now.Sub(r.generated.Time()) >= reportAge }

// GetCredentialReport shows the last report.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetCredentialReport.html
func (s *Service) GetCredentialReport(ctx context.Context, c *call.Call, _ *model.GetCredentialReportInput) (*model.GetCredentialReportOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	held, err := s.readReport(ctx, c.Principal.Account)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, model.CredentialReportNotPresent("No report exists.")
	case err != nil:
		return nil, err
	case held.isOld(c.Time):
		return nil, model.CredentialReportExpired("The most recent report has expired.")
	}
	return &model.GetCredentialReportOutput{Content: held.content, ReportFormat: new("text/csv"), GeneratedTime: &held.generated}, nil
}

// credentialReport writes the report of an account: the root user, and then the
// users in the order of their names.
func credentialReport(tx *store.Tx, account string) ([]byte, error) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	w.Write(reportColumns)
	made, err := selectAccountCreated(tx, account)
	if err != nil {
		return nil, err
	}
	w.Write(rootLine(account, made))
	rules, err := selectPasswordPolicy(tx, account)
	if err != nil {
		return nil, err
	}
	for after, more := "", true; more; {
		users, err := selectEntities(tx, userKind, account, "/", after, reportChunk)
		if err != nil {
			return nil, err
		}
		if more = len(users) == reportChunk; len(users) == 0 {
			break
		}
		after = users[len(users)-1].folded()
		if err := reportUsers(tx, w, users, rules); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return text.Bytes(), w.Error()
}

// rootLine is of the root user, who has nothing to sign in with.
func rootLine(account string, made api.Timestamp) []string {
	line := []string{"<root_account>", "arn:aws:iam::" + account + ":root", reportTime(made), "not_supported", "no_information", "not_supported", "not_supported", "false"}
	return append(line, noKeys(0)...)
}

// noKeys are the columns of the access keys that a user with some does not
// have, and of the certificates, which nobody has.
func noKeys(have int) (columns []string) {
	for range maxAccessKeys - have {
		columns = append(columns, "false", notThere, notThere, notThere, notThere)
	}
	return append(columns, "false", notThere, "false", notThere)
}

// reportUsers writes the lines of users, some.
func reportUsers(tx *store.Tx, w *csv.Writer, users []*entity, rules passwordPolicy) error {
	keys, err := selectAccessKeysOf(tx, ids(users))
	if err != nil {
		return err
	}
	profiles, err := selectProfilesOf(tx, ids(users))
	if err != nil {
		return err
	}
	guarded, err := selectWithDevice(tx, ids(users))
	if err != nil {
		return err
	}
	for _, e := range users {
		line := append([]string{e.name, e.arn(), reportTime(e.created)}, passwordColumns(profiles[e.id], rules)...)
		line = append(line, strconv.FormatBool(guarded[e.id]))
		for _, k := range keys[e.id] {
			line = append(line, keyColumnsOf(k)...)
		}
		w.Write(append(line, noKeys(len(keys[e.id]))...))
	}
	return w.Error()
}

func passwordColumns(p *profileRow, rules passwordPolicy) []string {
	if p == nil {
		return []string{"false", notThere, notThere, notThere}
	}
	used, rotation := "no_information", notThere
	if p.used != 0 {
		used = reportTime(p.used)
	}
	if rules.MaxAge > 0 {
		rotation = reportTime(api.At(p.changed.Time().AddDate(0, 0, int(rules.MaxAge))))
	}
	return []string{"true", used, reportTime(p.changed), rotation}
}

func keyColumnsOf(k keyRow) []string {
	active := strconv.FormatBool(k.status == statusActive)
	if k.used == 0 {
		return []string{active, reportTime(k.created), notThere, notThere, notThere}
	}
	return []string{active, reportTime(k.created), reportTime(k.used), k.usedRegion, k.usedService}
}

func reportTime(t api.Timestamp) string { return t.Time().Format("2006-01-02T15:04:05+00:00") }
