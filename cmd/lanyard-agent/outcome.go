package main

import (
	"errors"
	"log/slog"
	"regexp"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// outcome is what came of a sign-in, for the log and for `lanyard-agent status`:
// one of a few words, and what the service calls it.
type outcome struct {
	Word string `json:"word"`
	Code string `json:"code,omitempty"` // of the message catalogue
}

// outcomes says what came of a sign-in that ended with an error. The first that
// fits counts.
var outcomes = []struct {
	err  error
	word string
}{
	{desk.ErrBusy, "busy"},
	{desk.ErrStopped, "stopped"},
	{desk.ErrTimeout, "timeout"},
	{desk.ErrOver, "ended_at_page"},
	{desk.ErrAlone, "browser_missing"},
	{prompt.ErrCancelled, "cancelled"},
	{card.ErrBlocked, "card_locked"},
	{card.ErrRemoved, "card_removed"},
	{card.ErrUnsupported, "card_unsupported"},
	{card.ErrBusy, "card_busy"},
	{card.ErrNoReaders, "no_readers"},
	{desk.ErrGone, "link_used"},
	{desk.ErrOther, "other_service"},
	{desk.ErrUnreachable, "unreachable"},
}

// catalogued are the codes that are shown: what a service says is its own.
var catalogued = regexp.MustCompile(`^[A-Z]{3}-\d{2}$`)

// outcomeOf says what came of a sign-in.
func outcomeOf(err error) outcome {
	if err == nil {
		return outcome{Word: "signed_in"}
	}
	if r, ok := errors.AsType[desk.Refused](err); ok {
		if !catalogued.MatchString(r.Code) {
			r.Code = ""
		}
		return outcome{Word: "refused", Code: r.Code}
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return outcome{Word: o.word}
		}
	}
	return outcome{Word: "failed"}
}

// logged are the attributes of an outcome. Why nothing came of it is told where
// no service and no person had their word in it: what they say is their own.
func (o outcome) logged(err error) []slog.Attr {
	all := []slog.Attr{slog.String("outcome", o.Word)}
	if o.Code != "" {
		all = append(all, slog.String("code", o.Code))
	}
	if o.Word == "failed" || o.Word == "unreachable" {
		all = append(all, slog.String("reason", err.Error()))
	}
	return all
}
