package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// leave is how a server goes once it was told to stop.
type leave struct {
	notice func()        // called first: from then on it says that it is not ready
	delay  time.Duration // for which it then serves on, until balancers have seen that
	parted func()        // called then: what would wait for ever is let go
	drain  time.Duration // for which requests in hand may take after that
}

// silence is how long a connection that has asked nothing yet may stay after
// the signal to stop. Browsers open some ahead of need, and net/http would wait
// for their first request.
const silence = time.Second

// earlyConns are the connections that have asked nothing yet.
type earlyConns struct{ conns sync.Map }

func (e *earlyConns) watch(c net.Conn, state http.ConnState) {
	if state == http.StateNew {
		e.conns.Store(c, nil)
		return
	}
	e.conns.Delete(c)
}

func (e *earlyConns) close() {
	e.conns.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close() //nolint:forcetypeassert // watch stores nothing else
		return true
	})
}

// site is a handler and where it listens.
type site struct {
	listener net.Listener
	handler  http.Handler
}

// server listens on s. The bounds keep a slow or endless client from holding a
// place. While leaving, it tells every connection that an answer was its last:
// a balancer that finds one closed under its next request may not send that
// again.
func (s site) server(log *slog.Logger, leaving *atomic.Bool) *http.Server {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		s.handler.ServeHTTP(w, r)
	})
	srv := &http.Server{
		Handler: handler, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	early := &earlyConns{}
	srv.ConnState = early.watch
	srv.RegisterOnShutdown(func() { time.AfterFunc(silence, early.close) })
	return srv
}

// serve answers on every site until ctx is done. Then it leaves: it says that
// it is not ready, serves on for a while, stops to accept and finishes what is
// in hand. The last site is the operators', which is the last to go.
func serve(ctx context.Context, log *slog.Logger, l leave, sites ...site) error {
	failed := make(chan error, len(sites))
	var leaving atomic.Bool
	var servers []*http.Server
	for _, s := range sites {
		srv := s.server(log, &leaving)
		servers = append(servers, srv)
		go func() { failed <- srv.Serve(s.listener) }()
	}
	var err error
	select {
	case <-ctx.Done():
		leaving.Store(true)
		l.notice()
		select {
		case <-time.After(l.delay):
		case err = <-failed:
		}
	case err = <-failed:
	}

	l.parted()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.drain)
	defer cancel()
	for _, srv := range servers {
		if late := srv.Shutdown(stop); late != nil {
			err = errors.Join(err, fmt.Errorf("finish requests in hand: %w", late), srv.Close())
		}
	}
	return err
}
