package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/provider"
)

// guess asks for tokens with a secret, from an address.
func (s running) guess(t *testing.T, client, secret, from string) answered {
	t.Helper()
	req := request(t, http.MethodPost, s.issuer+"/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"},
		"redirect_uri": {callback}, "client_id": {client}, "client_secret": {secret}}, "")
	req.Header.Set("X-From", from)
	return do(t, req)
}

func TestGuesses(t *testing.T) {
	s, err := wireDev(t.Context(), devOptions{layout: "standard", issuer: "http://localhost:1", seed: seed(t)}, "http://localhost:1", "http://localhost:1", slog.New(slog.DiscardHandler), dev.NewLog())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.pages.Origin = fromHeader
	server := httptest.NewServer(s.pages.Routes())
	t.Cleanup(server.Close)
	at := running{issuer: server.URL}
	const here, there = "192.0.2.7", "192.0.2.8"

	t.Run("A1: wrong secrets of a client are counted before they are judged, and then cost time", func(t *testing.T) {
		for range idp.SecretLimit.Free + 1 {
			at.guess(t, "post", "wrong", here).wantError(t, http.StatusUnauthorized, "invalid_client")
		}
		for _, secret := range []string{"wrong", clientSecret} {
			a := at.guess(t, "post", secret, here)
			a.wantError(t, http.StatusTooManyRequests, "temporarily_unavailable")
			if a.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After is %q, want 1", a.header.Get("Retry-After"))
			}
		}
	})
	t.Run("A1: the client gets in from elsewhere, so no stranger keeps it out", func(t *testing.T) {
		at.guess(t, "post", clientSecret, there).wantError(t, http.StatusBadRequest, "invalid_grant")
	})
	t.Run("A1: after the wait the right secret is taken, and clears the count", func(t *testing.T) {
		if _, err := s.clock.Advance(time.Second); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			at.guess(t, "post", clientSecret, here).wantError(t, http.StatusBadRequest, "invalid_grant")
			for range idp.SecretLimit.Free {
				at.guess(t, "post", "wrong", here).wantError(t, http.StatusUnauthorized, "invalid_client")
			}
		}
	})
	t.Run("F27: 200 guesses at once, from all over a network's addresses, are few that are judged", func(t *testing.T) {
		statuses := make(chan int, 200)
		for n := range cap(statuses) {
			go func() { statuses <- at.guess(t, "post", "wrong", "2001:db8::"+strconv.Itoa(n)).status }()
		}
		var got []int
		for range cap(statuses) {
			got = append(got, <-statuses)
		}
		slices.Sort(got)
		if judged := slices.Index(got, http.StatusTooManyRequests); judged < 1 || judged > idp.SecretLimit.Free+5 {
			t.Errorf("%d guesses were judged; statuses %v", judged, slices.Compact(got))
		}
	})
	t.Run("own rule: a client with the right secret asks nothing of the limit", func(t *testing.T) {
		protocol, ok := s.pages.Protocol.(*provider.Provider)
		if !ok {
			t.Fatalf("a protocol of type %T", s.pages.Protocol)
		}
		protocol.Limits = untouched{t}
		at.guess(t, "post", clientSecret, there).wantError(t, http.StatusBadRequest, "invalid_grant")
		at.redeem(t, "basic", "x", nil).wantError(t, http.StatusBadRequest, "invalid_grant")
	})
}

// untouched are limits that nobody may ask.
type untouched struct{ t *testing.T }

func (u untouched) Attempt(context.Context, idp.LimitKey, idp.Limit, time.Time) error {
	u.t.Error("a try was counted")
	return nil
}

func (u untouched) Clear(context.Context, idp.LimitKey) error {
	u.t.Error("tries were cleared")
	return nil
}

// fromHeader takes a test's word for where it comes from.
func fromHeader(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddr(r.Header.Get("X-From"))
	if err != nil {
		return netip.Addr{}
	}
	return addr
}
