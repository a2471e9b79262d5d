package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// gate stands between agents and a service. What one agent says can be held at
// a point, or go nowhere; the others and the browsers notice nothing.
type gate struct {
	to    string // the service's own address
	proxy *httputil.ReverseProxy

	mu    sync.Mutex
	lines map[string]*line // by handle, and by transaction
}

// Points at which an agent can be held: when it has sent something and nobody
// got it, or when it was answered and does not know.
const (
	atRedeem   = "redeem"
	atSigning  = "signing"
	atResponse = "response answered"
	atWaiting  = "wait_card answered"
)

// line is what one agent says to the service.
type line struct {
	mu      sync.Mutex
	reached map[string]chan struct{}
	held    map[string]chan struct{}
	cut     chan struct{} // closed when nothing gets through any more
	heard   [][]byte      // what was sent
}

func newLine() *line {
	return &line{reached: map[string]chan struct{}{}, held: map[string]chan struct{}{}, cut: make(chan struct{})}
}

// at is closed when the agent has come to a point.
func (l *line) at(point string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reached[point] == nil {
		l.reached[point] = make(chan struct{})
	}
	return l.reached[point]
}

// hold holds the agent at a point until release.
func (l *line) hold(point string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[point] = make(chan struct{})
}

// release lets it on from every point.
func (l *line) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for point, held := range l.held {
		close(held)
		delete(l.held, point)
	}
}

// calls is how many calls were made.
func (l *line) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.heard)
}

// pass says that the agent is at a point, and returns when it may go on. It is
// false for what goes nowhere.
func (l *line) pass(r *http.Request, point string) bool {
	reached := l.at(point)
	l.mu.Lock()
	select {
	case <-reached:
	default:
		close(reached)
	}
	held := l.held[point]
	l.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-l.cut:
		case <-r.Context().Done():
			return false
		}
	}
	select {
	case <-l.cut:
		<-r.Context().Done() // no answer, and no word that there is none
		return false
	default:
		return true
	}
}

// newGate starts a gate before a service, which start starts with the gate's
// address for its issuer.
func newGate(t *testing.T, start func(issuer string) (at string)) (g *gate, issuer string) {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	issuer = "http://localhost:" + port
	g = &gate{lines: map[string]*line{}}
	g.to = start(issuer)
	to, err := url.Parse(g.to)
	if err != nil {
		t.Fatal(err)
	}
	g.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }}
	s := &http.Server{Handler: g}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return g, issuer
}

// watch returns the line of the agent that will redeem a handle.
func (g *gate) watch(handle string) *line {
	l := newLine()
	g.name(handle, l)
	return l
}

func (g *gate) name(name string, l *line) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines[name] = l
}

func (g *gate) lineOf(name string) *line {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lines[name]
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if !strings.HasPrefix(r.URL.Path, "/desk/v1/") || r.Method != http.MethodPost {
		r.Body = io.NopCloser(bytes.NewReader(body)) // an answer that is quick would have it closed while it is sent on
		g.proxy.ServeHTTP(w, r)
		return
	}
	var told struct{ H, State string }
	_ = json.Unmarshal(body, &told)
	l := g.lineOf(told.H)
	if told.H == "" {
		l = g.lineOf(transactionOf(r.Header.Get("DPoP")))
	}
	if l == nil {
		l = newLine()
	}
	l.mu.Lock()
	l.heard = append(l.heard, body)
	l.mu.Unlock()
	point := strings.TrimPrefix(r.URL.Path, "/desk/v1/")
	if told.State != "" {
		point = told.State
	}
	if !l.pass(r, point) {
		panic(http.ErrAbortHandler)
	}
	status, header, answer := g.forward(r, body)
	if told.H != "" {
		var q struct {
			Tx string `json:"tx"`
		}
		if json.Unmarshal(answer, &q) == nil && q.Tx != "" {
			g.name(q.Tx, l)
		}
	}
	if !l.pass(r, point+" answered") {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// forward asks the service.
func (g *gate) forward(r *http.Request, body []byte) (int, http.Header, []byte) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, g.to+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	req.Host, req.Header = r.Host, r.Header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return resp.StatusCode, resp.Header, answer
}

// transactionOf reads which question a proof is about.
func transactionOf(proof string) string {
	parts := strings.Split(proof, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Tx string `json:"tx"`
	}
	_ = json.Unmarshal(payload, &claims)
	return claims.Tx
}
