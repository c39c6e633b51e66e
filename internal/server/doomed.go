package server

import (
	"context"
	"time"

	"azekura/internal/secretsmanager"
)

const (
	maxGuarded = 10_000 // secrets of a key that are counted
	maxNamed   = 20     // that are named in the log
)

// losses tells of the secrets that will be lost with a KMS key which is
// scheduled for deletion: with the metric each time it is asked, and in the log
// once a day and key.
func (s *Server) losses() func(context.Context, time.Time) (int, error) {
	told := map[string]string{} // the day, by the key's ARN
	return func(ctx context.Context, now time.Time) (int, error) {
		doomed, err := s.keys.Doomed(ctx, now)
		if err != nil {
			return 0, err
		}
		losing := 0
		for _, key := range doomed {
			guarded, err := s.secrets.GuardedBy(ctx, key.ARN, maxGuarded)
			if err != nil {
				return 0, err
			}
			losing += len(guarded)
			if day := now.UTC().Format(time.DateOnly); len(guarded) > 0 && told[key.ARN] != day {
				told[key.ARN] = day
				s.tellLoss(key.ARN, date(int64(key.Ends)), guarded)
			}
		}
		s.losing.Store(int64(losing))
		return 0, nil
	}
}

func (s *Server) tellLoss(key, ends string, guarded []secretsmanager.Guarded) {
	s.cfg.Log.Warn("a KMS key that is scheduled for deletion still guards secrets: cancel that, or give the secrets another key",
		"key", key, "deletion", ends, "secrets", len(guarded))
	for _, g := range guarded[:min(len(guarded), maxNamed)] {
		s.cfg.Log.Warn("a secret will be lost with its KMS key", "secret", g.ARN, "key", key, "deletion", ends, "last_read", date(int64(g.LastRead)), "by", g.Reader)
	}
}

// date is the day of a moment in milliseconds since 1970; "" for 0.
func date(millis int64) string {
	if millis == 0 {
		return ""
	}
	return time.UnixMilli(millis).UTC().Format(time.DateOnly)
}
