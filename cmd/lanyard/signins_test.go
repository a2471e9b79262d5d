package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	programs "github.com/lanyard-id/lanyard/api/registry"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// asks sends a request to the API with somebody's token.
func (w *facesWorld) asks(t *testing.T, token, method, path, body string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, programs.Root+path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	got := w.serve(req)
	var problem struct{ Code string }
	if err := json.Unmarshal(got.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%s: %s", path, got.Body)
	}
	return got, problem.Code
}

func TestSignInsForAdministration(t *testing.T) {
	t.Parallel()
	w := newFacesWorld(t)
	manager := w.actors[1] // at TOP
	reason := `{"reason":"x"}`
	suspend, resume := "/cards/BB"+w.others[somebody]+"/suspend?check=true", "/cards/AA"+w.others[somebody]+"/resume?check=true"
	challenge := fmt.Sprintf(`error="insufficient_user_authentication", acr_values="%s", max_age="%d"`, idp.AAL3Any, 1200)
	wants := func(t *testing.T, token, method, path, code string) {
		t.Helper()
		got, said := w.asks(t, token, method, path, reason)
		if said != code || (got.Code == http.StatusUnauthorized) != (code != "") || (code == "API-12" || code == "API-13") != strings.Contains(got.Header().Get("WWW-Authenticate"), challenge) {
			t.Errorf("%s %s is answered %d %q, %q: want %q", method, path, got.Code, said, got.Header().Get("WWW-Authenticate"), code)
		}
	}
	t.Run("RFC 9470 §3: a sign-in of a lower level is told of the one that is needed, whatever is asked for", func(t *testing.T) {
		for _, level := range []struct{ session, token authenticators.Level }{{authenticators.AAL2, authenticators.AAL2}, {authenticators.AAL3, authenticators.AAL2}, {authenticators.AAL2, authenticators.AAL3}} {
			_, token, _ := w.signInSo(t, manager.uid, level.session, level.token, time.Minute)
			for _, path := range []string{"/people?q=x", "/people/" + w.others[somebody], "/worklists/locked", "/config/export", "/me"} {
				wants(t, token, http.MethodGet, path, "API-12")
			}
			wants(t, token, http.MethodPost, suspend, "API-12")
			wants(t, token, http.MethodPatch, "/people/"+w.others[somebody], "API-12")
		}
	})
	t.Run("RFC 9470 §3: an old sign-in is told so where a change gives access, and takes access nonetheless", func(t *testing.T) {
		_, token, _ := w.signInSo(t, manager.uid, authenticators.AAL3, authenticators.AAL3, idp.FreshFor+time.Minute)
		wants(t, token, http.MethodPost, suspend, "")
		wants(t, token, http.MethodPost, resume, "API-13")
	})
	t.Run("own rule: the calls of a program are no acts of its person, and keep no browser signed in", func(t *testing.T) {
		cookie, token, who := w.signInSo(t, manager.uid, authenticators.AAL3, authenticators.AAL3, 0)
		begun := w.now
		defer func() { w.now = begun }()
		idle := idp.LongestAt(authenticators.AAL3).Idle
		for _, after := range []time.Duration{idle / 3, 2 * idle / 3, idle - time.Second} {
			w.now = begun.Add(after)
			wants(t, token, http.MethodGet, "/me", "")
			wants(t, token, http.MethodPost, suspend, "")
		}
		w.now = begun.Add(idle)
		wants(t, token, http.MethodGet, "/me", "API-01")
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ra", nil)
		req.AddCookie(&http.Cookie{Name: "lanyard-session", Value: cookie})
		if got := w.serve(req); got.Code != http.StatusSeeOther {
			t.Errorf("the browser of %s is still signed in: %d", who.Person.UID, got.Code)
		}
	})
	t.Run("own rule: what the person does at a page keeps the token of their commands", func(t *testing.T) {
		cookie, token, _ := w.signInSo(t, manager.uid, authenticators.AAL3, authenticators.AAL3, 0)
		begun := w.now
		defer func() { w.now = begun }()
		w.now = begun.Add(10 * time.Minute)
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ra", nil)
		req.AddCookie(&http.Cookie{Name: "lanyard-session", Value: cookie})
		if got := w.serve(req); got.Code != http.StatusOK {
			t.Fatalf("the page is answered %d", got.Code)
		}
		w.now = begun.Add(20 * time.Minute)
		wants(t, token, http.MethodGet, "/me", "")
	})
}
