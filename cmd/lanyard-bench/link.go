package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// wire is a TCP connection to somewhere that can be cut, frozen, slowed and led
// elsewhere: a cable between two programs.
type wire struct {
	listener net.Listener

	mu     sync.Mutex
	cond   *sync.Cond
	target string
	cut    bool
	frozen bool
	delay  time.Duration // of every piece that passes
	open   map[net.Conn]struct{}
}

// newWire leads from a free port of this computer to target.
func newWire(target string) (*wire, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l, target: target, open: map[net.Conn]struct{}{}}
	w.cond = sync.NewCond(&w.mu)
	go w.accept()
	return w, nil
}

func (w *wire) address() string { return w.listener.Addr().String() }

// to is where it leads now.
func (w *wire) to() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.target
}

func (w *wire) accept() {
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.carry(conn)
	}
}

func (w *wire) carry(near net.Conn) {
	w.mu.Lock()
	for w.frozen && !w.cut {
		w.cond.Wait()
	}
	target, cut := w.target, w.cut
	w.mu.Unlock()
	if cut {
		_ = near.Close()
		return
	}
	far, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", target)
	if err != nil {
		_ = near.Close()
		return
	}
	w.mu.Lock()
	if w.cut || w.target != target {
		w.mu.Unlock()
		_ = errors.Join(near.Close(), far.Close())
		return
	}
	w.open[near], w.open[far] = struct{}{}, struct{}{}
	w.mu.Unlock()
	go w.copy(far, near)
	w.copy(near, far)
}

// copy carries bytes one way until either end is gone.
func (w *wire) copy(to, from net.Conn) {
	defer func() {
		_ = errors.Join(to.Close(), from.Close())
		w.mu.Lock()
		delete(w.open, to)
		delete(w.open, from)
		w.mu.Unlock()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			w.pause()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pause holds a piece back while the wire is frozen or slow.
func (w *wire) pause() {
	w.mu.Lock()
	for w.frozen && !w.cut {
		w.cond.Wait()
	}
	delay := w.delay
	w.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
}

// sever ends every connection, and every new one at once.
func (w *wire) sever() { w.change(func() { w.cut = true }, true) }

// heal lets everything pass again.
func (w *wire) heal() { w.change(func() { w.cut, w.frozen, w.delay = false, false, 0 }, false) }

// freeze keeps connections open and lets nothing pass.
func (w *wire) freeze() { w.change(func() { w.frozen = true }, false) }

// slow delays every piece.
func (w *wire) slow(by time.Duration) { w.change(func() { w.delay = by }, false) }

// point leads new connections to target, and ends the old ones: what an
// address that moves from one machine to another does.
func (w *wire) point(target string) { w.change(func() { w.target = target }, true) }

func (w *wire) change(how func(), drop bool) {
	w.mu.Lock()
	how()
	var open []net.Conn
	if drop {
		for c := range w.open {
			open = append(open, c)
		}
	}
	w.cond.Broadcast()
	w.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.sever()
}

// listen takes a free port of this computer.
func listen() (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
}
