package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// drain is how long requests in hand may take after the signal to stop.
const drain = 5 * time.Second

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
