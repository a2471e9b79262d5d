package api

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api/ops"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// page is an answer as small as most of ours.
var page = strings.Repeat("x", 1000)

// onePage is a protocol that answers /page and /file, where everything is open,
// and /let-in, where requests are bounded.
type onePage struct{}

func (onePage) Mount(_, goOn, open chi.Router) {
	open.Get("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	open.Get("/file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(page))
	})
	goOn.Get("/let-in", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
}

func (onePage) Finish(http.ResponseWriter, *http.Request, idp.View) {}

func aServer(t testing.TB, log *slog.Logger) *Server {
	t.Helper()
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Logins: &idp.Logins{Now: time.Now}, Browser: &Browser{Secure: true}, Protocol: onePage{}, Site: site,
		Metrics: ops.NewMetrics(), Log: log})
	s.Desk = &Desk{Mount: func(chi.Router) {}}
	return s
}

// BenchmarkRequest is what a request costs before it comes to what it asks for,
// beside what net/http alone takes.
func BenchmarkRequest(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	written := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // the cost of writing a line is what is asked
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	for name, c := range map[string]struct {
		handler http.Handler
		path    string
	}{
		"bare":     {bare, "/"},
		"open":     {aServer(b, quiet).Routes(), "/page"},
		"file":     {aServer(b, quiet).Routes(), "/file"},
		"bounded":  {aServer(b, quiet).Routes(), "/let-in"},
		"and logs": {aServer(b, written).Routes(), "/let-in"},
	} {
		b.Run(name, func(b *testing.B) {
			at := httptest.NewServer(c.handler)
			defer at.Close()
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", at.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			back := bufio.NewReader(conn)
			ask := []byte("GET " + c.path + " HTTP/1.1\r\nHost: id.example\r\n\r\n")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(ask); err != nil {
					b.Fatal(err)
				}
				resp, err := http.ReadResponse(back, nil)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Fatal(resp, err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
