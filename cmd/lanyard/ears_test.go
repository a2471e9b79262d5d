package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// hearing is where applications are told that sessions ended: each under its
// own path. What it answers them a test may change.
type hearing struct {
	server *httptest.Server

	mu      sync.Mutex
	heard   map[string][]heard // by client
	answers map[string]http.HandlerFunc
}

// heard is one logout token, as it came.
type heard struct {
	at     time.Time
	token  string
	header map[string]any
	claims map[string]any
}

func newHearing() *hearing {
	h := &hearing{heard: map[string][]heard{}, answers: map[string]http.HandlerFunc{}}
	h.server = httptest.NewServer(h)
	return h
}

// ears are those of the clients of these tests. They live as long as the tests.
var ears = sync.OnceValue(newHearing)

// address is where a client is told.
func (h *hearing) address(client string) string { return h.server.URL + "/" + client }

// ServeHTTP implements http.Handler.
func (h *hearing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := strings.TrimPrefix(r.URL.Path, "/")
	token := r.PostFormValue("logout_token")
	now := heard{at: time.Now(), token: token, header: part(token, 0), claims: part(token, 1)}
	h.mu.Lock()
	h.heard[client] = append(h.heard[client], now)
	answer := h.answers[client]
	h.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

// part is a part of a token, unproved.
func part(token string, n int) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		return nil
	}
	var all map[string]any
	if json.Unmarshal(b, &all) != nil {
		return nil
	}
	return all
}

// of is what a client heard of a session.
func (h *hearing) of(client, sid string) (all []heard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.heard[client] {
		if one.claims["sid"] == sid {
			all = append(all, one)
		}
	}
	return all
}

// wantTold waits until the client "told" hears that a session ended.
func (h *hearing) wantTold(t *testing.T, sid string) heard {
	t.Helper()
	until(t, "the application is told of session "+sid, func() bool { return len(h.of("told", sid)) > 0 })
	return h.of("told", sid)[0]
}

// telling lets a server tell applications until the test ends.
func telling(t *testing.T, house *logoutHouse) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); house.run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}
