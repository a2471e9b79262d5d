package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/backchannel"
)

// How often it is asked whether a session is over, and whether an application
// has to be told of one.
const (
	lookEvery = time.Second
	tellEvery = 250 * time.Millisecond
)

// logoutHouse finds out which sessions are over, and tells their applications.
type logoutHouse struct {
	lookout *idp.Lookout
	teller  *backchannel.Teller
	log     *slog.Logger
}

// run does both until ctx is done. They do not wait for one another.
func (h *logoutHouse) run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() {
		for ctx.Err() == nil {
			if err := unharmed(ctx, h.teller.Run); err != nil {
				h.log.ErrorContext(ctx, "telling applications failed", "error", err.Error())
			}
		}
	})
	both.Go(func() { h.lookOut(ctx) })
	both.Wait()
}

// lookOut looks after sessions.
func (h *logoutHouse) lookOut(ctx context.Context) {
	pause, silent := time.Duration(0), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		more := false
		err := unharmed(ctx, func(ctx context.Context) (err error) {
			doing, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			more, err = h.lookout.Look(doing)
			return err
		})
		switch {
		case err != nil:
			pause = min(max(2*pause, lookEvery), 10*time.Second)
			if !silent && ctx.Err() == nil {
				h.log.WarnContext(ctx, "nobody looks whether sessions are over", "error", err.Error())
			}
		case more:
			pause = 0
		default:
			pause = lookEvery
		}
		silent = err != nil
	}
}

// keepLogouts takes old logouts out of the log, and shows how many wait.
func (p *production) keepLogouts(ctx context.Context) error {
	n, err := p.registry.LogoutsWaiting(ctx)
	if err != nil {
		return err
	}
	p.metrics.LogoutsWaiting(n)
	return p.registry.ForgetLogouts(ctx)
}
