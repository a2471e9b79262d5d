package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/oklog/ulid/v2"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

type requestIDKey struct{}

// RequestID returns the id of the request that ctx belongs to, 26 letters and
// digits in the form of a ULID. People read out the first eight, so unlike a
// ULID's these are no time: two requests of one second must differ in them.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// identify gives every request its id. One that comes with the request is not
// taken: it would be a stranger's word in our log.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var id ulid.ULID
		rand.Read(id[:]) // never fails: crypto/rand ends the program instead
		w.Header().Set("X-Request-Id", id.String())
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id.String())))
	})
}

// recoverer turns a panic into the page for a fault of ours.
func (s *Server) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(p)
			}
			s.Refuse(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}()
		next.ServeHTTP(w, r)
	})
}

// observe logs and measures each request by its route pattern. The URL is not
// logged: its query may hold what opens something.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.Logins.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)

		took := s.Logins.Now().Sub(start)
		route := chi.RouteContext(r.Context()).RoutePattern()
		if route == "" {
			route = "none"
		}
		s.Metrics.Request(route, r.Method, ww.Status(), took)
		s.Log.InfoContext(r.Context(), "request", "method", r.Method, "route", route,
			"status", ww.Status(), "bytes", ww.BytesWritten(), "ms", float64(took.Microseconds())/float64(time.Millisecond/time.Microsecond))
	})
}

// secure sets what every answer carries: nothing inline, no frame, no sniffing,
// no address told to the next site. Our own pages see it: with no-referrer a
// browser would post our own forms with the origin null.
func (s *Server) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", web.Policy())
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if s.Browser.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses forms that another site posts. The login's id, which no
// other site knows, and cookies that are SameSite stand behind it.
func sameOrigin(s *Server) func(http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(s.page(func(http.ResponseWriter, *http.Request) error { return errForged }))
	return guard.Handler
}

// maxForm bounds what a page's form may bring.
const maxForm = 16 << 10

func limitForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// How long a request may take before it is given up, with all that it asks of
// the stores. Routes.go says which route has which.
const (
	ordinary = 1500 * time.Millisecond
	asking   = 4 * time.Second // where a card is judged: its authority has two seconds to answer
)

func within(limit time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// admit turns away what comes while most requests are in hand: what cannot be
// done soon is better refused than begun. What begins a login has the lower
// bound, so that those who have begun come to an end.
func (s *Server) admit(most int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer s.inHand.Add(-1)
			if s.inHand.Add(1) > int64(most) {
				s.turnAway(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

var errBusy = fmt.Errorf("too many requests in hand: %w", idp.ErrUnavailable)

// turnAway shows people a page and tells programs in their words.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.Refuse(w, r, errBusy)
		return
	}
	s.Metrics.Refused("temporarily_unavailable")
	retryAfter(w, errBusy)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": "temporarily_unavailable"}) // the asker has gone: nobody to tell
}
