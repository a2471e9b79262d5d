package main

import (
	"context"
	"errors"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
)

// digestHouse tells the registration authority of its worklists.
type digestHouse struct {
	digests *rules.Digests
	sent    idp.Date // the day of which that is done, by this server or another
}

// digestTime is how long all that is counted may take. Long lists at a hundred
// organisations take a minute.
const digestTime = 20 * time.Minute

// sendDigests sends the digests of the day, at one of all servers. One that ends
// before has sent none, and another does it.
func (p *production) sendDigests(ctx context.Context) error {
	h := p.digests
	if h == nil {
		return nil
	}
	day := h.digests.Morning()
	if day == "" || day == h.sent {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, digestTime)
	defer cancel()
	done, err := h.digests.Send(ctx, day)
	if err != nil && !errors.Is(err, idp.ErrUsed) {
		return err
	}
	h.sent = day
	if err != nil {
		return nil // another server has sent them
	}
	p.log.InfoContext(ctx, "the registration authority was told of its worklists", "mails", done.Told)
	if done.More {
		p.log.WarnContext(ctx, "more people look after worklists than are told of them by mail")
	}
	return nil
}

// keepDigests asks each minute whether it is time for digests, until ctx is
// done. What failed is tried again in a quarter of an hour: to count is work.
func (p *production) keepDigests(ctx context.Context) {
	for ctx.Err() == nil {
		pause := time.Minute
		if err := unharmed(ctx, p.sendDigests); err != nil && ctx.Err() == nil {
			p.log.ErrorContext(ctx, "housekeeping failed", "chore", "tell of worklists", "error", err.Error())
			pause = 15 * time.Minute
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
