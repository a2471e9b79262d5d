package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// collector is what traces are sent to: it keeps what came, as it came.
type collector struct {
	mu  sync.Mutex
	got bytes.Buffer
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.Copy(&c.got, r.Body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestTracing(t *testing.T) {
	t.Run("own rule: without an address nothing is traced", func(t *testing.T) {
		traces, stop, err := startTracing(t.Context(), "", slog.New(slog.DiscardHandler))
		if err != nil || traces.routes() != nil || traces.sql() != nil || traces.redis(nil) != nil || stop(t.Context()) != nil {
			t.Errorf("tracing %v, %v", traces, err)
		}
	})

	var c collector
	server := httptest.NewServer(&c)
	t.Cleanup(server.Close)
	traces, stop, err := startTracing(t.Context(), server.URL+"/v1/traces", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := onRedis(t, func(p *parts) { p.trace = traces })
	p, secrets := s.wholeSignIn(t)
	s.userinfo(t, "another-token").wantError(t, http.StatusUnauthorized, "invalid_token")
	secrets = append(secrets, passcode, "another-token", "the state", "the nonce", oneRole)
	p.open(s.issuer + "/nothing/of-ours")
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	t.Run("own rule: requests are traced by their patterns, and with them what Redis was asked", func(t *testing.T) {
		for _, name := range []string{"lanyard", "GET /authorize", "GET /login", "POST /login/smartcard/virtual", "POST /token", "GET /userinfo", "evalsha", "getdel"} {
			if !bytes.Contains(c.got.Bytes(), []byte(name)) {
				t.Errorf("no trace has %q", name)
			}
		}
	})
	t.Run("F36: no trace holds a code, token, passcode, cookie or secret, or anything of an address but its pattern", func(t *testing.T) {
		for _, secret := range append(secrets, "of-ours", "redirect_uri", "Go-http-client") {
			if bytes.Contains(c.got.Bytes(), []byte(secret)) {
				t.Errorf("%q is in a trace", secret)
			}
		}
	})
}
