package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

// run is an agent from its start to its end, with who is told of what it does.
type run struct {
	settings settings.Settings
	agent    desk.Agent
	desk     *desk.Desk
	standing *standing
	log      *slog.Logger
	close    func() // of the log
	now      func() time.Time
}

// open signs in by a link.
func (r *run) open(ctx context.Context, link string) error {
	l, err := desk.ParseLink(link)
	if err != nil {
		return err
	}
	return r.desk.Open(ctx, l)
}

// follow tells the log, and who asks for the status, of a sign-in and what came
// of it, and nothing of the link but which of our services it names.
func (r *run) follow(l desk.Link) (ended func(error)) {
	service := "unknown"
	if slices.ContainsFunc(r.settings.Services, func(s desk.Service) bool { return s.Alias == l.Alias }) {
		service = l.Alias
	}
	log, began, note := r.log.With(slog.String("service", service)), r.now(), r.standing.begins()
	log.Info("sign-in begins")
	return func(err error) {
		o := outcomeOf(err)
		note(o)
		level := slog.LevelInfo
		if o.Word == "failed" || o.Word == "unreachable" {
			level = slog.LevelWarn
		}
		log.LogAttrs(context.Background(), level, "sign-in ended", append(o.logged(err), slog.Duration("took", r.now().Sub(began).Round(time.Millisecond)))...)
	}
}

// tray shows an icon with Status and Close, where the desktop has a tray and
// nobody has said that there shall be none. end is called by Close.
func (r *run) tray(ctx context.Context, end func()) {
	if !r.settings.Tray {
		return
	}
	language := languageOf(os.Getenv)
	tray{words: standingWordsIn(language), close: end, status: func() {
		_ = r.agent.Prompt.Tell(ctx, language, r.standing.report().text(language)) // nobody is there to tell
	}}.show(ctx, os.Getenv)
}
