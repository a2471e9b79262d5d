package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Watch is a client that is told when a session ends. One is written down with
// the first token that the client gets in the session, and only for a client
// that can be told.
type Watch struct {
	SID     string
	Client  string
	Subject string
	Held    time.Time // until then nobody else looks after it; it also names this look
}

// FirstLook is how soon a session is looked after. If it ended in the very
// moment in which its client got a token, neither may have seen the other.
const FirstLook = 5 * time.Second

// Watches are the sessions that somebody is told the end of. Who ends one raises
// its SIDFence, and that is enough. All others are found out: those that nobody
// used any more, and those whose person, or what they signed in with, has been
// stopped in the registry, by whoever that was.
type Watches interface {
	// DueWatches returns up to most that are due to be looked after at now, and
	// keeps them from others until until. What has changed in the registry about
	// their persons makes them due at once, and who asks about these persons
	// then hears of it.
	DueWatches(ctx context.Context, now, until time.Time, most int) ([]Watch, error)

	// WatchOn lets w be due again at next, or sooner if something has changed.
	WatchOn(ctx context.Context, w Watch, next time.Time) error

	// EndWatch records act, and lets every client of the session be told, in one
	// transaction. ErrNotFound if somebody has done it.
	EndWatch(ctx context.Context, sid string, act Act) error
}

// Why a session ended that nobody has ended, as the journal has it.
const (
	EndExpired = "expired" // it lives nowhere any more: nobody used it, or it has lived as long as it may
	EndStopped = "stopped" // its person, or what they signed in with
	EndBefore  = "before"  // it had ended, and a client got a token in the same moment
)

// Lookout finds out which of the sessions that are watched are over.
type Lookout struct {
	Watches  Watches
	Sessions SessionStore
	Own      OwnSessions
	People   People
	Fences   Fences
	Now      func() time.Time
}

const (
	looksAtOnce = 50
	lookLease   = 10 * time.Second // one server's own, at most
)

// Look looks after those that are due, and says whether more may be. An error
// is of a store, and leaves them for the next look; one of a single session,
// which cannot be read, leaves that one.
func (lo *Lookout) Look(ctx context.Context) (more bool, err error) {
	now := lo.Now()
	due, err := lo.Watches.DueWatches(ctx, now, now.Add(lookLease).Truncate(time.Microsecond), looksAtOnce)
	if err != nil {
		return false, fmt.Errorf("sessions to look after: %w", err)
	}
	var unread error
	for _, w := range due {
		err := lo.after(ctx, w)
		if err == nil {
			continue
		}
		err = fmt.Errorf("look after session %s: %w", w.SID, err)
		if errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return false, err
		}
		unread = errors.Join(unread, err)
	}
	return len(due) == looksAtOnce, unread
}

// after looks after one.
func (lo *Lookout) after(ctx context.Context, w Watch) error {
	ended, err := lo.Fences.Stands(ctx, Fence{Kind: SIDFence, Hash: w.SID})
	if err != nil {
		return err
	}
	p, err := lo.People.Person(ctx, w.Subject)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	own, err := lo.Own.SessionsOf(ctx, w.Subject, lo.Now())
	if err != nil {
		return err
	}
	own = slices.DeleteFunc(own, func(s OwnSession) bool { return s.ID != w.SID && !slices.Contains(s.Also, w.SID) })
	reason, lives := w.over(p, own)
	if ended {
		reason = EndBefore
	}
	if reason == "" {
		return lo.Watches.WatchOn(ctx, w, lives)
	}
	act := Act{Event: Event{At: lo.Now(), Kind: SessionEnded, Subject: w.Subject, Session: w.SID, Reason: reason}}
	if reason == EndStopped {
		// Should its person be let in again, it must not come back. What merely
		// expired leaves its tokens their time: they judge by their own grant.
		act.Fences = []Fence{{Kind: SIDFence, Hash: w.SID}}
	}
	if err := lo.Watches.EndWatch(ctx, w.SID, act); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, s := range own {
		if err := lo.Sessions.EndSession(ctx, s.Key); err != nil {
			return err
		}
	}
	return nil
}

// over says why the session of w is over, or "" and until when it lives if
// nobody uses it again. p is its person, zero if they are gone, and live is what
// of it lives in the session store: a session that gives way to another of the
// same name is there twice for a moment.
func (w Watch) over(p Person, live []OwnSession) (reason string, until time.Time) {
	if p.Profile != Verified && p.Profile != Unverified {
		return EndStopped, until
	}
	if len(live) == 0 {
		return EndExpired, until
	}
	for _, s := range live {
		if p.Stands(s.AuthTime, s.Authenticator) && s.Expires().After(until) {
			until = s.Expires()
		}
	}
	if until.IsZero() {
		return EndStopped, until
	}
	return "", until
}
