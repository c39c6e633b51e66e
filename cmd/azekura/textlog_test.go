package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type lazy struct{ slog.Value }

func (l lazy) LogValue() slog.Value { return l.Value }

// texts are those among which quotes begin to be needed.
var texts = []string{"", "plain", "a=b", "=", "a b", " ", `"`, `a"`, `\`, "a\x7f", "\x00", "\n", "\u00e9", "\u00a0", "\xff", "~!", "a:b/c-d_e"}

func drawValue(depth int) *rapid.Generator[slog.Value] {
	return rapid.Custom(func(t *rapid.T) slog.Value {
		text := rapid.OneOf(rapid.SampledFrom(texts), rapid.String())
		switch n := rapid.IntRange(0, 11).Draw(t, "kind"); {
		case n < 4:
			return slog.StringValue(text.Draw(t, "text"))
		case n == 4:
			return slog.Int64Value(rapid.Int64().Draw(t, "int"))
		case n == 5:
			return slog.BoolValue(rapid.Bool().Draw(t, "bool"))
		case n == 6:
			return slog.DurationValue(time.Duration(rapid.Int64().Draw(t, "duration")))
		case n == 7:
			return slog.TimeValue(time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 0))
		case n == 8:
			return slog.AnyValue(errors.New(text.Draw(t, "error")))
		case n == 9:
			return slog.AnyValue([]int{1})
		case n == 10 && depth > 0:
			return slog.AnyValue(lazy{drawValue(depth-1).Draw(t, "lazy")})
		case depth > 0:
			return slog.GroupValue(drawAttrs(t, depth-1)...)
		}
		return slog.Value{}
	})
}

func drawAttrs(t *rapid.T, depth int) []slog.Attr {
	var attrs []slog.Attr
	for range rapid.IntRange(1, 3).Draw(t, "attrs") {
		key := rapid.OneOf(rapid.Just("key"), rapid.Just(""), rapid.Just("plain"), rapid.SampledFrom(texts)).Draw(t, "key")
		attrs = append(attrs, slog.Attr{Key: key, Value: drawValue(depth).Draw(t, "value")})
	}
	return attrs
}

// Every line is slog's own.
func TestTextLinesAreSlogs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ours, want bytes.Buffer
		var handlers [2]slog.Handler = [...]slog.Handler{newTextHandler(&ours, nil), slog.NewTextHandler(&want, nil)}
		var at time.Time
		if rapid.IntRange(0, 9).Draw(t, "has a time") > 0 {
			zone := time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, "zone")*60)
			at = time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
		}
		record := slog.NewRecord(at, slog.Level(rapid.IntRange(-5, 9).Draw(t, "level")),
			rapid.OneOf(rapid.Just("request"), rapid.SampledFrom(texts)).Draw(t, "message"), 0)
		record.AddAttrs(drawAttrs(t, 2)...)
		for i := range handlers {
			if rapid.IntRange(0, 9).Draw(t, "with") == 0 && i == 0 {
				for j := range handlers {
					handlers[j] = handlers[j].WithGroup("g").WithAttrs([]slog.Attr{slog.Int("n", 1)})
				}
			}
			handlers[i].Handle(t.Context(), record.Clone())
		}
		if ours.String() != want.String() {
			t.Fatalf("got  %q\nwant %q", ours.String(), want.String())
		}
	})
}

// Each text as value, key and message.
func TestTextsAreQuotedAsBySlog(t *testing.T) {
	for _, text := range texts {
		var ours, want bytes.Buffer
		for h, w := range map[slog.Handler]*bytes.Buffer{newTextHandler(&ours, nil): &ours, slog.NewTextHandler(&want, nil): &want} {
			for _, r := range []slog.Record{slog.NewRecord(time.Unix(1, 0), slog.LevelInfo, text, 0), slog.NewRecord(time.Unix(1, 0), slog.LevelInfo, "m", 0)} {
				r.AddAttrs(slog.String("key", text))
				r.AddAttrs(slog.String(text, "value"))
				h.Handle(t.Context(), r)
				w.WriteString(".")
			}
		}
		if ours.String() != want.String() {
			t.Errorf("got  %q\nwant %q", ours.String(), want.String())
		}
	}
}

func BenchmarkTextLine(b *testing.B) {
	for name, h := range map[string]slog.Handler{"ours": newTextHandler(io.Discard, nil), "slog": slog.NewTextHandler(io.Discard, nil)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			now := time.Now()
			for b.Loop() {
				r := slog.NewRecord(now, slog.LevelInfo, "request", 0)
				r.AddAttrs(slog.Any("", lazy{slog.GroupValue(
					slog.String("id", "0b6f3c1e-5d3a-4b0e-9d39-0f6f2d1f6c11"), slog.String("service", "secretsmanager"),
					slog.String("operation", "GetSecretValue"), slog.String("region", "us-east-1"),
					slog.String("principal", "arn:aws:iam::111111111111:user/admin"), slog.String("access_key", "AKIAIOSFODNN7EXAMPLE"),
					slog.String("source", "127.0.0.1"), slog.String("resource", "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf"))}),
					slog.String("outcome", "ok"), slog.Int("status", 200), slog.Duration("duration", 43210))
				h.Handle(b.Context(), r)
			}
		})
	}
}
