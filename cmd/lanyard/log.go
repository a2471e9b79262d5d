package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/lanyard-id/lanyard/api"
)

// newLog returns the log of the service: text where a person reads along, JSON
// otherwise, and to whoever else listens. Every line of a request has the
// request's id.
func newLog(f *os.File, more ...slog.Handler) *slog.Logger { return logAt(f, slog.LevelInfo, more...) }

// logAt is newLog for what has at least that level.
func logAt(f *os.File, level slog.Level, more ...slog.Handler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(f, options)
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		h = slog.NewTextHandler(f, options)
	}
	// The OIDC library logs to the default. What matters there is said by our
	// own door, once and with its cause.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if len(more) > 0 {
		h = slog.NewMultiHandler(append(more, h)...)
	}
	return slog.New(withRequest{h})
}

// withRequest adds the request's id to what is logged in its context.
type withRequest struct{ slog.Handler }

// Handle implements slog.Handler.
func (h withRequest) Handle(ctx context.Context, r slog.Record) error {
	if id := api.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h withRequest) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequest{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h withRequest) WithGroup(name string) slog.Handler {
	return withRequest{h.Handler.WithGroup(name)}
}

// discard is a log that nobody reads.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
