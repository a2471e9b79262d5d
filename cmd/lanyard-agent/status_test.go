package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

func TestStanding(t *testing.T) {
	s := newStanding([]desk.Service{{Issuer: "https://id.example"}}, nil, func() time.Time { return noon })
	t.Run("own rule: an agent that waits says for which services", func(t *testing.T) {
		if got := s.report().text("en"); got != "Lanyard "+version+"\nWaiting for a sign-in page.\nSign-in service: https://id.example" {
			t.Errorf("%q", got)
		}
	})
	ended := s.begins()
	t.Run("own rule: an agent with a sign-in in hand says so", func(t *testing.T) {
		if got := s.report().text("en"); !strings.Contains(got, "A sign-in is open.") {
			t.Errorf("%q", got)
		}
	})
	ended(outcome{Word: "refused", Code: "CRT-03"})
	t.Run("own rule: an agent says what came of the last sign-in, with its code", func(t *testing.T) {
		want := "\nLast sign-in, " + noon.Local().Format("15:04") + ": the sign-in service said no. (CRT-03)"
		if got := s.report().text("en"); !strings.HasSuffix(got, want) || !strings.Contains(got, "Waiting") {
			t.Errorf("%q", got)
		}
	})
	t.Run("own rule: who comes while another signs in does not change what came of the last", func(t *testing.T) {
		s.begins()(outcome{Word: "busy"})
		if r := s.report(); r.Last.Word != "refused" || r.InHand != 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("own rule: every outcome has words in every language", func(t *testing.T) {
		words := []string{"signed_in", "refused", "failed"}
		for _, o := range outcomes {
			if o.word != "busy" { // nobody is told
				words = append(words, o.word)
			}
		}
		for language, w := range standingIn {
			for _, word := range words {
				if w.Outcomes[word] == "" {
					t.Errorf("%s has no words for %s", language, word)
				}
			}
			if len(w.Outcomes) != len(words) {
				t.Errorf("%s has words for %d outcomes, and there are %d", language, len(w.Outcomes), len(words))
			}
		}
	})
}

func TestStatus(t *testing.T) {
	readers := func(context.Context) ([]card.Seen, error) {
		return []card.Seen{{Reader: "A", Card: true, About: aCard(1, 1)}, {Reader: "B"}}, nil
	}
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "lanyard-agent.sock")
	t.Run("own rule: without an agent the status says so, and what readers there are", func(t *testing.T) {
		var out bytes.Buffer
		if err := status(t.Context(), path, readers, &out, false); !errors.Is(err, errNobody) || out.String() != "Card reader \"A\": a card\nCard reader \"B\": no card\n" {
			t.Errorf("%q, %v", out.String(), err)
		}
	})
	s := newStanding(nil, nil, func() time.Time { return noon })
	ready, ended := make(chan struct{}), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	waits := newSession(path, nil)
	waits.says = s.line
	go func() { ended <- waits.stay(ctx, func() { close(ready) }) }()
	<-ready
	t.Run("own rule: with an agent the status says how it stands", func(t *testing.T) {
		var out bytes.Buffer
		if err := status(t.Context(), path, readers, &out, true); err != nil {
			t.Fatal(err)
		}
		var got seenHere
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Agent == nil || got.Agent.Process != os.Getpid() || len(got.Readers) != 2 {
			t.Errorf("%s, %v", out.String(), err)
		}
	})
	t.Run("own rule: the status names nobody", func(t *testing.T) {
		for _, asJSON := range []bool{true, false} {
			var out bytes.Buffer
			if err := status(t.Context(), path, readers, &out, asJSON); err != nil || strings.Contains(out.String(), "Asha") {
				t.Errorf("%s, %v", out.String(), err)
			}
		}
	})
	t.Run("own rule: a service for card readers that does not answer is said", func(t *testing.T) {
		var out bytes.Buffer
		none := func(context.Context) ([]card.Seen, error) { return nil, errors.New("nobody answers") }
		if err := status(t.Context(), path, none, &out, false); err != nil || !strings.HasSuffix(out.String(), "Card readers: nobody answers\n") {
			t.Errorf("%s, %v", out.String(), err)
		}
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// hears is a person who is told, after the log has been.
type hears struct {
	log *bytes.Buffer
	t   *testing.T
}

// Ask implements prompt.Prompt.
func (hears) Ask(context.Context, prompt.Question) ([]byte, error) { return nil, prompt.ErrCancelled }

// Choose implements prompt.Prompt.
func (hears) Choose(context.Context, prompt.Question, []string) (int, error) {
	return 0, prompt.ErrCancelled
}

// Tell implements prompt.Prompt.
func (h hears) Tell(context.Context, string, string) error {
	if !strings.Contains(h.log.String(), "sign-in ended") {
		h.t.Error("the person was told before the log was")
	}
	return nil
}

func TestRunLogs(t *testing.T) {
	handle := strings.Repeat("h4ndle-", 6) + "A"
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"title": handle, "detail": "Dr Asha Smith, " + handle, "code": handle})
	}))
	defer refuses.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, tt := range []struct {
		rule, origin, alias string
		want                string // the outcome
		and                 []string
	}{
		{"own rule: a service's refusal is logged without its words", refuses.URL, "", "refused", nil},
		{"own rule: a service that does not answer is logged, and why", gone.URL, "", "unreachable", []string{"level=WARN", "connection refused"}},
		{"own rule: a link of another service is logged without its name", refuses.URL, "evil.example", "other_service", []string{"service=unknown"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			alias := aliasOf(tt.origin)
			var said bytes.Buffer
			s := settings.Settings{Services: []desk.Service{{Alias: alias, Issuer: tt.origin, Origin: tt.origin}}}
			r := &run{settings: s, standing: newStanding(s.Services, nil, time.Now), log: slog.New(slog.NewTextHandler(&said, nil)), now: time.Now}
			r.desk = desk.At(desk.Agent{Services: s.Services, HTTP: desk.NewClient(), Now: time.Now, Version: version, Prompt: hears{&said, t}, Follow: r.follow})
			if tt.alias != "" {
				alias = tt.alias
			}
			err := r.open(t.Context(), fmt.Sprintf("lanyard-desk:start?h=%s&i=%s", handle, alias))
			if err == nil {
				t.Fatal("it signed in")
			}
			for _, want := range append(tt.and, "outcome="+tt.want) {
				if !strings.Contains(said.String(), want) {
					t.Errorf("it logs\n%swant %q", said.String(), want)
				}
			}
			if slices.ContainsFunc([]string{"h4ndle", "Asha", "evil"}, func(word string) bool { return strings.Contains(said.String(), word) }) {
				t.Errorf("it logs\n%s", said.String())
			}
			if l := r.standing.report().Last; l == nil || l.Word != tt.want {
				t.Errorf("it says %+v", l)
			}
		})
	}
}
