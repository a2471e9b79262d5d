package desk

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// bounce waits on loopback for the browser of this desk, and sends it back to
// the service with the completion code.
//
// Loopback is shared by all people of a computer, and any program can name any
// origin. So whoever comes must be a program of this person and session, from
// the service's own page, about this question; they get the code once.
type bounce struct {
	listener net.Listener
	server   *http.Server
	origin   string // whose page may come
	peer     func(peer, here net.Addr) error

	mu   sync.Mutex
	tx   string // of this question; "" until it is known
	to   string // where the browser goes; "" until there is a code
	done chan struct{}
}

// newBounce listens on a free port of this computer.
func newBounce(ctx context.Context, origin string, peer func(peer, here net.Addr) error) (*bounce, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &bounce{listener: l, origin: origin, peer: peer, done: make(chan struct{})}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		}}
	go func() { _ = b.server.Serve(l) }() // ends with close
	return b, nil
}

type connKey struct{}

func (b *bounce) port() int { return b.listener.Addr().(*net.TCPAddr).Port } //nolint:forcetypeassert // it listens on TCP

// expect says which question the browser will come about.
func (b *bounce) expect(tx string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tx = tx
}

// lead says where the browser goes when it comes.
func (b *bounce) lead(done, tx, completion string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = done + "?" + url.Values{"tx": {tx}, "cc": {completion}}.Encode()
}

// close stops waiting. What is being answered is answered.
func (b *bounce) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.server.Shutdown(ctx) != nil {
		_ = b.server.Close()
	}
}

// maxForm bounds what a browser may post.
const maxForm = 4 << 10

// ServeHTTP answers one form of the service's page, and nothing else.
func (b *bounce) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := b.right(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	to := b.take(r.PostFormValue("tx"))
	if to == "" {
		http.Error(w, "there is nothing to finish here", http.StatusForbidden)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// take returns where the browser goes, once, if it comes about this question.
func (b *bounce) take(tx string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	to := b.to
	if to == "" || subtle.ConstantTimeCompare([]byte(tx), []byte(b.tx)) != 1 {
		return ""
	}
	b.to = ""
	close(b.done)
	return to
}

// right says what is wrong with a request: anything but a form that a page of
// the service posts at the top of a window of this person's own browser.
func (b *bounce) right(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/done" {
		return errors.New("there is no such page")
	}
	if r.Host != b.listener.Addr().String() { // another name is somebody who rebinds names
		return errors.New("the host is another")
	}
	if mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest"); mode != "" && mode != "navigate" || dest != "" && dest != "document" {
		return errors.New("it is no window that asks")
	}
	if !b.fromService(r.Header) {
		return errors.New("the page is another's")
	}
	c, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok || b.peer(c.RemoteAddr(), c.LocalAddr()) != nil {
		return errors.New("the program is not of this person's session")
	}
	return nil
}

// fromService says whether a request names the service's page as where it comes
// from, or nobody: what is there must be right.
func (b *bounce) fromService(h http.Header) bool {
	if origins := h.Values("Origin"); len(origins) > 1 || len(origins) == 1 && origins[0] != "null" && origins[0] != b.origin {
		return false
	}
	from := h.Get("Referer")
	return from == "" || from == b.origin || strings.HasPrefix(from, b.origin+"/")
}
