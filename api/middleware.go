package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/oklog/ulid/v2"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// arrival is what is known of a request when it comes, in one value of its
// context: a context for each would copy the request for each.
type arrival struct {
	id   string
	from netip.Addr
}

type arrivalKey struct{}

// RequestID returns the id of the request that ctx belongs to, 26 letters and
// digits in the form of a ULID. People read out the first eight, so unlike a
// ULID's these are no time: two requests of one second must differ in them.
func RequestID(ctx context.Context) string {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	if a == nil {
		return ""
	}
	return a.id
}

// Address returns where the request that ctx belongs to comes from; the zero
// address if that cannot be said.
func Address(ctx context.Context) netip.Addr {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	if a == nil {
		return netip.Addr{}
	}
	return a.from
}

// arrive gives every request its id, and finds out where it comes from. An id
// that comes with the request is not taken: it would be a stranger's word in
// our log.
func (s *Server) arrive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var id ulid.ULID
		rand.Read(id[:]) // never fails: crypto/rand ends the program instead
		a := &arrival{id.String(), s.Origin(r)}
		w.Header().Set("X-Request-Id", a.id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), arrivalKey{}, a)))
	})
}

// remote is the other end of the connection.
func remote(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
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
		a := &answer{ResponseWriter: w}
		next.ServeHTTP(a, r)

		status, took := cmp.Or(a.status, http.StatusOK), s.Logins.Now().Sub(start)
		route := chi.RouteContext(r.Context()).RoutePattern()
		if route == "" {
			route = "none"
		}
		s.Metrics.Request(route, r.Method, status, took)
		s.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("method", r.Method), slog.String("route", route),
			slog.Int("status", status), slog.Int("bytes", a.bytes), slog.Float64("ms", float64(took.Microseconds())/float64(time.Millisecond/time.Microsecond)))
	})
}

// answer sees what is answered. It has no ReadFrom, by which net/http sends
// the header on its own before a file: ours are small and in memory, and one
// write is half of what such an answer costs.
type answer struct {
	http.ResponseWriter
	status int // the first that was written; 0: none yet
	bytes  int
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = cmp.Or(a.status, status)
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.status = cmp.Or(a.status, http.StatusOK)
	n, err := a.ResponseWriter.Write(b)
	a.bytes += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// secure sets what every answer carries: nothing inline, no frame, no sniffing,
// no address told to the next site. Our own pages see it: with no-referrer a
// browser would post our own forms with the origin null.
func (s *Server) secure(next http.Handler) http.Handler {
	always := http.Header{}
	always.Set("Content-Security-Policy", web.Policy())
	always.Set("X-Content-Type-Options", "nosniff")
	always.Set("X-Frame-Options", "DENY")
	always.Set("Referrer-Policy", "same-origin")
	always.Set("Cross-Origin-Opener-Policy", "same-origin")
	always.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	always.Set("Cache-Control", "no-store")
	if s.Browser.Secure {
		always.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), always) // their values are shared: Set and Add leave them as they are
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

// MaxFile bounds a file that somebody sends.
const MaxFile = 1 << 20

// maxFileForm leaves room for what goes with a file, and for how it is written
// where it comes again from a page that showed what is in it.
const maxFileForm = 4 * MaxFile

func limitFile(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxFileForm)
		next.ServeHTTP(w, r)
	})
}

// How long a request may take before it is given up, with all that it asks of
// the stores. Routes.go says which route has which.
const (
	ordinary = 1500 * time.Millisecond
	asking   = 4 * time.Second  // where a card is judged: its authority has two seconds to answer
	reading  = 30 * time.Second // where each row of a file is judged
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
