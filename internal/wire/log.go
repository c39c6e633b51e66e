package wire

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"

	"azekura/internal/api"
	"azekura/internal/call"
)

// What a stranger can write into the log and the trail with one header, in
// bytes.
const (
	maxOperation = 128
	maxUserAgent = 1024
)

func bounded(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// record writes the request's one line. It holds names and the outcome; what
// went in and out never reaches it, nor does the text of an answer, which may
// repeat what went in.
func (h *Handler) record(r *http.Request, c *call.Call, e *api.Error, o Outcome) {
	level, outcome := slog.LevelInfo, "ok"
	if e != nil {
		outcome = e.Code
	}
	if o.Status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	handler := h.Log.Handler()
	if !handler.Enabled(r.Context(), level) {
		return
	}
	// Logger.LogAttrs would look up the time again, and who calls it.
	line := slog.NewRecord(c.Time.Add(o.Duration), level, "request", 0)
	line.AddAttrs(
		slog.Any("", c),
		slog.String("outcome", outcome),
		slog.Int("status", o.Status),
		slog.Duration("duration", o.Duration),
	)
	if e != nil && e.Err != nil {
		line.AddAttrs(slog.String("error", e.Err.Error()))
	}
	handler.Handle(r.Context(), line)
}

// contain turns a panic into an error, and logs where it came from. The text of
// a panic and the arguments that the runtime prints in a trace may be secrets,
// so neither is logged.
func (h *Handler) contain(c *call.Call, err *error) {
	p := recover()
	if p == nil {
		return
	}
	*err = fmt.Errorf("panic: %T", p)
	h.Log.Error("panic", slog.String("id", c.ID), slog.String("type", fmt.Sprintf("%T", p)), slog.Any("stack", stack()))
}

// stack is the calls that led here, innermost first, without their arguments.
func stack() []string {
	const skipped = 3 // runtime.Callers, stack, contain
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(skipped, pcs)])
	var calls []string
	for {
		f, more := frames.Next()
		calls = append(calls, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return calls
		}
	}
}
