package main

import (
	"context"
	"errors"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/idp"
)

// metadataNotice is how long before metadata is past its day operators hear of
// it.
const metadataNotice = 7 * 24 * time.Hour

// keyHouse keeps what is known of keys in order. Nil: there is no metadata.
type keyHouse struct {
	metadata *passkey.Metadata
	rechecks *idp.Rechecks
	judged   string    // the night in which all keys were judged last, by us or by another
	told     time.Time // when operators were told last that metadata is getting old
}

// readMetadata reads metadata again if its file has changed, and tells
// operators when the next is due: each hour, not each minute.
func (p *production) readMetadata(ctx context.Context) error {
	if p.house == nil {
		return nil
	}
	m := p.house.metadata
	changed, err := m.Reload()
	if changed {
		known, unread := m.Models()
		p.log.InfoContext(ctx, "metadata of keys was read", "number", m.Number(), "next_update", m.NextUpdate(), "models", known, "unread", unread)
		p.house.told = time.Time{}
	}
	if left := -m.Stale(); left < metadataNotice && p.now().Sub(p.house.told) >= time.Hour {
		p.house.told = p.now()
		if left > 0 {
			p.log.WarnContext(ctx, "metadata of keys is about to be too old: fetch the next edition", "next_update", m.NextUpdate(), "seconds_left", left.Seconds())
		} else {
			p.log.ErrorContext(ctx, "metadata of keys is too old: models that were revoked since are not known, and after webauthn.metadata_grace no key is worth AAL3", "next_update", m.NextUpdate(), "seconds_late", (-left).Seconds())
		}
	}
	return err
}

// recheckKeys judges all keys again once a night, at one of all servers. Not
// by metadata that is too old: keys are not worth less for good because nobody
// fetched a file. What they are worth until then, sign-ins decide.
func (p *production) recheckKeys(ctx context.Context) error {
	h := p.house
	if h == nil || h.metadata.Stale() > 0 {
		return nil
	}
	night := h.rechecks.Night()
	if night == "" || night == h.judged {
		return nil
	}
	err := h.rechecks.Begin(ctx, night)
	if err != nil && !errors.Is(err, idp.ErrUsed) {
		return err
	}
	h.judged = night
	if err != nil {
		return nil // another server is at it
	}
	done, err := h.rechecks.All(ctx)
	p.log.InfoContext(ctx, "keys were judged again", "keys", done.Keys, "lowered", done.Lowered, "unread", done.Unread)
	return err
}

// keepKeys asks each minute whether it is time to judge keys, until ctx is
// done. It stands apart from the other chores, which must not wait for it.
func (p *production) keepKeys(ctx context.Context) {
	for ctx.Err() == nil {
		if err := unharmed(ctx, p.recheckKeys); err != nil && ctx.Err() == nil {
			p.log.ErrorContext(ctx, "housekeeping failed", "chore", "judge keys again", "error", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
	}
}
