//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

func TestLog(t *testing.T) {
	errs, err := os.Create(filepath.Join(t.TempDir(), "errs"))
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	info, err := errs.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t)
	stream := fmt.Sprintf("%d:%d", s.Dev, s.Ino)
	said := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(b)
	}
	env := func(m map[string]string) func(string) string { return func(name string) string { return m[name] } }
	t.Run("own rule: the journal is told on standard error, and keeps the time itself", func(t *testing.T) {
		home := t.TempDir()
		log, end := newLog(slog.LevelInfo, env(map[string]string{"HOME": home, "JOURNAL_STREAM": stream}), errs)
		log.Info("hello")
		end()
		if got := said(errs.Name()); got != "level=INFO msg=hello\n" {
			t.Errorf("%q", got)
		}
		if left, _ := os.ReadDir(home); len(left) != 0 {
			t.Errorf("in the home there is %v", left)
		}
	})
	t.Run("own rule: a journal that listens elsewhere is not told here", func(t *testing.T) {
		before := said(errs.Name())
		state := t.TempDir()
		log, end := newLog(slog.LevelInfo, env(map[string]string{"XDG_STATE_HOME": state, "JOURNAL_STREAM": "1:1"}), errs)
		log.Info("hello")
		end()
		path := filepath.Join(state, "lanyard-agent", "agent.log")
		if got := said(path); said(errs.Name()) != before || !strings.HasPrefix(got, "time=") || !strings.HasSuffix(got, " level=INFO msg=hello\n") {
			t.Errorf("%q", got)
		}
		for path, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
			}
		}
	})
	t.Run("own rule: what is less than the level is not logged", func(t *testing.T) {
		home := t.TempDir()
		log, end := newLog(slog.LevelWarn, env(map[string]string{"HOME": home}), errs)
		log.Info("no")
		log.Warn("yes")
		end()
		if got := said(filepath.Join(home, ".local/state/lanyard-agent/agent.log")); strings.Contains(got, "no") || !strings.Contains(got, "yes") {
			t.Errorf("%q", got)
		}
	})
	t.Run("own rule: without a place for a log the agent works", func(t *testing.T) {
		for _, m := range []map[string]string{{}, {"HOME": "relative"}, {"HOME": "/proc/none"}} {
			log, end := newLog(slog.LevelInfo, env(m), errs)
			log.Info("hello")
			end()
		}
	})
	t.Run("own rule: what libraries say to the standard log is not logged", func(t *testing.T) {
		home := t.TempDir()
		_, end := newLog(slog.LevelInfo, env(map[string]string{"HOME": home}), errs)
		defer end()
		slog.Default().Error("a library")
		if got := said(filepath.Join(home, ".local/state/lanyard-agent/agent.log")); got != "" {
			t.Errorf("%q", got)
		}
	})
}

func TestLogFile(t *testing.T) {
	t.Run("own rule: a log takes two files at most, and loses the oldest lines only", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log", "agent.log")
		for range 3 { // an agent that ends and begins again
			w := &logFile{path: path, most: 100}
			for i := range 20 {
				if _, err := fmt.Fprintf(w, "line %4d\n", i); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		all, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(all) != 2 {
			t.Fatalf("%v, %v", all, err)
		}
		var text string
		for _, name := range []string{path + ".1", path} {
			b, err := os.ReadFile(name)
			if err != nil || len(b) > 100 {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
			text += string(b)
		}
		if !strings.HasSuffix(text, "line   18\nline   19\n") || strings.Count(text, "\n") < 10 {
			t.Errorf("%q", text)
		}
	})
	t.Run("own rule: a log that is no file is not written to", func(t *testing.T) {
		if _, err := (&logFile{path: "/dev/null", most: 100}).Write([]byte("x")); err == nil {
			t.Error("it was written")
		}
	})
}

func TestOutcome(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want outcome
	}{
		{nil, outcome{Word: "signed_in"}},
		{fmt.Errorf("ask: %w", prompt.ErrCancelled), outcome{Word: "cancelled"}},
		{card.PINError{TriesLeft: 0}, outcome{Word: "card_locked"}},
		{card.ErrRemoved, outcome{Word: "card_removed"}},
		{desk.Ended{Err: fmt.Errorf("%w: %w", desk.ErrUnreachable, context.DeadlineExceeded)}, outcome{Word: "unreachable"}},
		{desk.ErrTimeout, outcome{Word: "timeout"}},
		{desk.Ended{Words: "x", Err: desk.ErrStopped}, outcome{Word: "stopped"}},
		{desk.ErrOver, outcome{Word: "ended_at_page"}},
		{desk.ErrAlone, outcome{Word: "browser_missing"}},
		{errors.Join(desk.ErrBusy, desk.ErrUnreachable), outcome{Word: "busy"}},
		{desk.Refused{Code: "CRT-03", Words: "This card has been cancelled."}, outcome{Word: "refused", Code: "CRT-03"}},
		{desk.Refused{Code: "Dr Asha Smith", Words: "Dr Asha Smith"}, outcome{Word: "refused"}},
		{errors.New("anything"), outcome{Word: "failed"}},
	} {
		t.Run(fmt.Sprintf("own rule: what came of a sign-in is one word: %s", tt.want.Word), func(t *testing.T) {
			if got := outcomeOf(tt.err); got != tt.want {
				t.Errorf("outcomeOf(%v) = %+v", tt.err, got)
			}
		})
	}
	t.Run("own rule: a service's own words are not logged", func(t *testing.T) {
		err := desk.Refused{Code: "x h4ndle", Words: "Dr Asha Smith, h4ndle"}
		if said := fmt.Sprint(outcomeOf(err).logged(err)); strings.Contains(said, "Asha") || strings.Contains(said, "h4ndle") {
			t.Error(said)
		}
	})
}
