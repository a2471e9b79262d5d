package card

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// retryTime is how often it is looked again where nobody tells when it is worth
// it.
const retryTime = time.Second

// look is a look at all card readers, again and again.
type look struct {
	service service

	now   []reader    // as they stand; nil when the service does not answer
	found []*inReader // what can be used; to be closed
	waits Waiting     // what there is to wait for, where nothing can; "" as before

	first  []reader // as they stood at first
	silent []reader // as they stood when a card did not answer
	soon   bool     // what is there may become usable without a change
}

// again looks when the readers are not any more as they were, or when it is
// time to.
func (l *look) again(ctx context.Context) error {
	if err := l.readers(ctx); err != nil {
		return err
	}
	if l.first == nil {
		l.first = l.now
	}
	l.found, l.waits, l.soon = nil, ForReader, false
	if len(l.now) == 0 {
		l.soon = l.now == nil
		return nil
	}
	var busy, unreadable, silent, other bool
	for _, at := range l.now {
		if !at.present {
			continue
		}
		if !at.answered() {
			silent = true
			continue
		}
		c, err := open(ctx, l.service, at)
		switch {
		case err == nil:
			l.found = append(l.found, c)
		case errors.Is(err, ErrBusy):
			busy = true
		case errors.Is(err, ErrRemoved):
			silent = true
		case errors.Is(err, ErrUnsupported):
			// One that lies in another reader all day is none of this sign-in's.
			other = other || !slices.Contains(l.first, at) || !slices.ContainsFunc(l.now, func(r reader) bool { return !r.present })
		default: // one reader that does strange things takes nobody's other cards
			unreadable = true
		}
	}
	l.found = distinct(l.found)
	// A card may just come to life, or have been taken out between the look at
	// its reader and at itself. If all is still as it was, it does not answer.
	unreadable = unreadable || silent && slices.Equal(l.now, l.silent)
	if l.silent = nil; silent {
		l.silent = l.now
	}
	l.soon = busy || unreadable || silent
	switch {
	case busy:
		l.waits = ForRelease
	case unreadable:
		l.waits = ForReadable
	case silent:
		l.waits = "" // that is not known yet
	case other:
		l.waits = ForOther
	default:
		l.waits = ForCard
	}
	return nil
}

// readers waits for the readers to be others than they were.
func (l *look) readers(ctx context.Context) error {
	seen, limited := l.now, ctx
	if l.found != nil {
		seen = nil
	}
	if l.soon {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, retryTime)
		defer cancel()
	}
	if l.soon && l.now == nil { // who did not answer is given time
		<-limited.Done()
		limited = ctx
	}
	now, err := l.service.Readers(limited, seen)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		l.now = now
	case limited.Err() != nil: // they are as they were
	case errors.Is(err, errService):
		l.now = nil
	default:
		return err
	}
	return nil
}

// distinct puts cards in readers with contacts first, and lets go of what is the
// same card in another reader: some readers are two, and some cards speak to
// both.
func distinct(found []*inReader) []*inReader {
	slices.SortStableFunc(found, func(a, b *inReader) int {
		switch x, y := contactless(a.at.name), contactless(b.at.name); {
		case x == y:
			return 0
		case x:
			return 1
		default:
			return -1
		}
	})
	kept := found[:0]
	for _, c := range found {
		if slices.ContainsFunc(kept, func(k *inReader) bool { return k.about.same(c.about) }) {
			_ = c.Close() // nothing was asked of it but what it shows to everybody
			continue
		}
		kept = append(kept, c)
	}
	return kept
}

// contactless says whether a reader has no contacts, by what makers name them.
func contactless(name string) bool {
	for word := range strings.FieldsFuncSeq(strings.ToUpper(name), func(r rune) bool { return strings.ContainsRune(" -_()[],.", r) }) {
		if word == "PICC" || word == "NFC" || word == "CONTACTLESS" || strings.HasSuffix(word, "CL") {
			return true
		}
	}
	return false
}

func closeBut(cards []*inReader, kept *inReader) {
	for _, c := range cards {
		if c != kept {
			_ = c.Close() // nothing was asked of it but what it shows to everybody
		}
	}
}

// polled is a service that is asked again and again: it tells of no changes, or
// too late.
type polled struct{ service }

// Readers implements service.
func (p polled) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	for {
		now, err := p.service.Readers(ctx, nil)
		if err != nil || seen == nil || !slices.Equal(now, seen) {
			return now, err
		}
		select {
		case <-time.After(pollTime):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
