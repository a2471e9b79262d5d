package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// drain is how long requests in hand may take after the signal to stop.
const drain = 5 * time.Second

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

// serve answers on every site until ctx is done, then finishes what is in
// hand.
func serve(ctx context.Context, log *slog.Logger, sites ...site) error {
	failed := make(chan error, len(sites))
	var servers []*http.Server
	for _, s := range sites {
		// The bounds keep a slow or endless client from holding a place.
		srv := &http.Server{
			Handler: s.handler, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
			ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
			WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		}
		var early earlyConns
		srv.ConnState = early.watch
		srv.RegisterOnShutdown(func() { time.AfterFunc(silence, early.close) })
		servers = append(servers, srv)
		go func() { failed <- srv.Serve(s.listener) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}

	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	for _, srv := range servers {
		if late := srv.Shutdown(stop); late != nil {
			err = errors.Join(err, fmt.Errorf("finish requests in hand: %w", late), srv.Close())
		}
	}
	return err
}
