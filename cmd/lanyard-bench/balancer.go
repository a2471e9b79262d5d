package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// balancer stands before the servers as a hospital's does. It asks each
// whether it is ready, gives requests in turn to those that are, and sends a
// request a second time only if the first cannot have reached anybody.
type balancer struct {
	address  string
	backends []*backend
	trip     *http.Transport
	server   *http.Server
	stop     context.CancelFunc
	turn     atomic.Uint64

	// lose, if set, says whether the answer to a request is thrown away after
	// the server gave it: the connection then ends as if a cable was pulled.
	lose atomic.Pointer[func(*http.Request) bool]
}

// backend is one server, as the balancer sees it.
type backend struct {
	address, ops string
	ready        atomic.Bool
}

const (
	askEvery = 200 * time.Millisecond // how often the balancer asks whether a server is ready
	lostMark = "X-Answer-Lost"        // on the balancer's own answer where a server's was lost
	noneMark = "X-Nobody-Ready"       // where no server was ready
)

// newBalancer starts a balancer at listener over servers at backends.
func newBalancer(listener net.Listener, backends []*backend) *balancer {
	ctx, stop := context.WithCancel(context.Background())
	b := &balancer{address: listener.Addr().String(), backends: backends, trip: newTransport(), stop: stop}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.server.Serve(listener) }()
	for _, to := range backends {
		go b.watch(ctx, to)
	}
	return b
}

// loseAt loses the answers to requests at path from now on; "" loses none.
func (b *balancer) loseAt(path string) {
	lose := func(r *http.Request) bool { return path != "" && r.URL.Path == path }
	b.lose.Store(&lose)
}

func (b *balancer) close() {
	b.stop()
	_ = b.server.Close()
	b.trip.CloseIdleConnections()
}

// watch asks a server whether it is ready, again and again.
func (b *balancer) watch(ctx context.Context, to *backend) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	trip := &http.Transport{DisableKeepAlives: true}
	for {
		to.ready.Store(isReady(ctx, trip, to.ops))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// isReady says whether the server whose operators' listener is at ops takes
// people.
func isReady(ctx context.Context, trip http.RoundTripper, ops string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := trip.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// ready returns the servers that are ready, beginning with the one whose turn
// it is.
func (b *balancer) ready() []*backend {
	turn := b.turn.Add(1)
	var ready []*backend
	for i := range b.backends {
		if to := b.backends[(turn+uint64(i))%uint64(len(b.backends))]; to.ready.Load() {
			ready = append(ready, to)
		}
	}
	return ready
}

// next returns the servers to ask. If none is ready all of them are as good as
// each other: they say by themselves what is wrong, and keys and discovery do
// not depend on it.
func (b *balancer) next() []*backend {
	if ready := b.ready(); len(ready) > 0 {
		return ready
	}
	return b.backends
}

// ServeHTTP implements http.Handler.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for _, to := range b.next() {
		resp, err := b.send(r, to, body)
		if err == nil {
			b.pass(w, r, resp)
			return
		}
		if !neverSent(err) {
			w.Header().Set(lostMark, "1")
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		to.ready.Store(false)
	}
	w.Header().Set(noneMark, "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (b *balancer) send(r *http.Request, to *backend, body []byte) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "http", to.address
	// A body without GetBody, though it may be empty: see site.ask.
	out.Body, out.GetBody, out.ContentLength = io.NopCloser(bytes.NewReader(body)), nil, int64(len(body))
	if out.Header.Get("X-Forwarded-For") == "" {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		out.Header.Set("X-Forwarded-For", host)
	}
	return b.trip.RoundTrip(out)
}

// neverSent says whether a request that failed cannot have reached a server.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// pass gives a server's answer to the browser, or loses it.
func (b *balancer) pass(w http.ResponseWriter, r *http.Request, resp *http.Response) {
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		w.Header().Set(lostMark, "1")
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if lose := b.lose.Load(); lose != nil && (*lose)(r) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Header {
		if name != "Connection" && name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(body) // the browser has gone: nobody to tell
}
