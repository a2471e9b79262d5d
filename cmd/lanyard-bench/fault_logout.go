package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// tellingTime is how long it may take until applications are told that a session
// ended, however bad others among them are.
const tellingTime = 5 * time.Second

// tellApplications is F23: people sign out who worked in many applications, some
// of which are slow, broken or hostile.
func tellApplications(ctx context.Context, t *trial) error {
	const applications = 50
	return t.in(ctx, plan{told: applications, policy: map[string]string{"backchannel.networks": "[127.0.0.0/8]"}}, func(w *world) error {
		people, limit := t.size(20, 2), t.within(tellingTime)
		longest := time.Duration(0)
		for n := range people {
			took, err := w.signOutOfAll(ctx, n, limit)
			if err != nil {
				return fmt.Errorf("person %d: %w", n+1, err)
			}
			longest = max(longest, took)
		}
		for _, a := range w.applications {
			if twice := a.twice(); twice != "" && a.answer == nil {
				return fmt.Errorf("%s was told twice of session %s", a.id, twice)
			}
		}
		if n := w.inner.calls(); n > 0 {
			return fmt.Errorf("what stands inside was called %d times", n)
		}
		t.report("%d people signed out of %d applications each, of which one hangs, one fails, one leads inside and one hangs up: the %d others were told within %s",
			people, applications, applications-len(bad), longest.Round(time.Millisecond))
		return w.audit(ctx)
	})
}

// signOutOfAll lets a person work in every application and sign out in one, and
// returns how long it took until the good ones were told.
func (w *world) signOutOfAll(ctx context.Context, n int, limit time.Duration) (time.Duration, error) {
	first := w.flow(n, w.client(w.applications[0].id, nil))
	var last result
	for _, a := range w.applications {
		f := *first
		f.client = w.client(a.id, nil)
		var err error
		if last, err = f.run(ctx); err != nil {
			return 0, fmt.Errorf("work in %s: %w", a.id, err)
		}
	}
	sid := sidOf(last.tokens.id)
	began := time.Now()
	out, err := first.person.open(ctx, http.MethodGet, "/end_session?"+url.Values{"id_token_hint": {last.tokens.id}}.Encode(), nil)
	if err != nil || out.status >= http.StatusBadRequest || first.person.session() != "" {
		return 0, errors.Join(err, problem("sign out", out))
	}
	w.ledger.signedOut(first.holder.uid)
	for {
		missing := ""
		for _, a := range w.applications {
			if a.answer == nil && a.times(sid) == 0 {
				missing = a.id
			}
		}
		took := time.Since(began)
		if missing == "" {
			return took, nil
		}
		if took > limit || ctx.Err() != nil {
			return took, fmt.Errorf("%s is not told %s after the session ended", missing, took.Round(time.Millisecond))
		}
		wait(ctx, 5*time.Millisecond)
	}
}

// application is one that is told when sessions end.
type application struct {
	id     string
	answer http.HandlerFunc // of one that is no good; nil: it answers well

	mu    sync.Mutex
	heard map[string]int // how often, by sid
	asked int
}

// ServeHTTP implements http.Handler.
func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sid := sidOf(r.PostFormValue("logout_token"))
	a.mu.Lock()
	a.heard[sid]++
	a.asked++
	a.mu.Unlock()
	if a.answer != nil {
		a.answer(w, r)
	}
}

func (a *application) times(sid string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard[sid]
}

func (a *application) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// twice is a session that the application was told of more than once.
func (a *application) twice() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for sid, n := range a.heard {
		if n > 1 {
			return sid
		}
	}
	return ""
}

// sidOf is the session that a token is of, unproved.
func sidOf(token string) string {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		SID string `json:"sid"`
	}
	if err != nil || json.Unmarshal(b, &claims) != nil {
		return ""
	}
	return claims.SID
}

// bad are the ways in which applications are no good. inner is an address inside.
var bad = []func(inner string) http.HandlerFunc{
	func(string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { wait(r.Context(), 30*time.Second) }
	},
	func(string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	},
	func(inner string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inner, http.StatusTemporaryRedirect)
		}
	},
	func(string) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	},
}

// makeApplications makes as many as the plan says, each at an address of its
// own, and registers them. The first are no good.
func (w *world) makeApplications() error {
	if w.plan.told == 0 {
		return nil
	}
	w.inner = &application{id: "inside", heard: map[string]int{}}
	inner, err := w.hearAt(w.inner)
	if err != nil {
		return err
	}
	for i := range w.plan.told {
		a := &application{id: fmt.Sprintf("rig-told-%d", i), heard: map[string]int{}}
		if i < len(bad) {
			a.answer = bad[i](inner)
		}
		address, err := w.hearAt(a)
		if err != nil {
			return err
		}
		w.applications = append(w.applications, a)
		made := *w.crowd.clients["ES256"]
		made.id = a.id
		w.crowd.clients[a.id] = &made
		w.crowd.document.Clients = append(w.crowd.document.Clients, directory.Client{
			ID: a.id, Name: a.id, AuthMethod: idp.SecretBasic, SecretHash: directory.SecretHash(idp.HashSecret(made.secret)), RedirectURIs: []string{callback},
			BackchannelLogoutURI: address, Scopes: strings.Fields(made.scope), Grants: []string{"authorization_code"}, ResponseModes: []string{"query"},
			IDTokenAlg: made.alg, ACRDefault: idp.AAL3Any, MinLevel: 1, RequirePKCE: true,
		})
	}
	return nil
}

// hearAt lets an application hear, and returns where.
func (w *world) hearAt(a *application) (string, error) {
	var l net.Listener
	l, err := listen()
	if err != nil {
		return "", err
	}
	w.serve(l, a)
	return "http://" + l.Addr().String() + "/backchannel-logout", nil
}
