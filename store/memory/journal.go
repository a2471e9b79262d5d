package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// maxEvents is how many events are remembered.
const maxEvents = 10_000

// journal holds the last events, and what was used lately.
type journal struct {
	mu     sync.Mutex
	events []idp.Event // a ring once it is full
	oldest int         // where it begins
	fences map[idp.Fence]struct{}
	raised []raised // in the order of raising
	mails  []idp.Mail

	lastSignIns map[string]time.Time    // by uid
	lastUses    map[[2]string]time.Time // by uid and what sessions call it

	watches []watched
	logouts []logout
	told    int64 // how many logouts there were
}

type raised struct {
	fence idp.Fence
	at    time.Time
}

// Record implements idp.Journal: it appends e, raises the fences and writes down
// what was used, or does nothing of that.
func (s *Store) Record(_ context.Context, e idp.Event, fences ...idp.Fence) error {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.free(e.At, fences); err != nil {
		return err
	}
	if e.Use != nil {
		if err := s.useNow(*e.Use, e.At); err != nil {
			return err
		}
	}
	j.append(idp.Act{Event: e, Fences: fences})
	return nil
}

// free says nil if none of fences stands that may be raised once. The caller
// has j.mu.
func (j *journal) free(now time.Time, fences []idp.Fence) error {
	j.forget(now)
	for i, f := range fences {
		if _, stands := j.fences[f]; !f.Ends() && (stands || slices.Contains(fences[:i], f)) {
			return idp.Used{Fence: f}
		}
	}
	return nil
}

// append writes down an act. The caller has j.mu.
func (j *journal) append(act idp.Act) {
	for _, f := range act.Fences {
		if _, stands := j.fences[f]; stands {
			continue
		}
		j.fences[f] = struct{}{}
		j.raised = append(j.raised, raised{f, act.Event.At})
		if f.Kind == idp.SIDFence {
			j.over(f.Hash)
		}
	}
	if w := act.Event.Tell; w != nil {
		j.watch(*w, act.Event.At)
	}
	for _, m := range act.Mails {
		if !m.ForNobody() {
			j.mails = append(j.mails, m)
		}
	}
	j.mails = j.mails[max(0, len(j.mails)-maxMails):]
	e := act.Event
	if e.Kind == idp.SignedIn && e.At.After(j.lastSignIns[e.Subject]) {
		j.lastSignIns[e.Subject] = e.At
	}
	if used := [2]string{e.Subject, e.Authenticator}; e.Kind == idp.SignedIn && e.Flag != idp.NotShown && e.At.After(j.lastUses[used]) {
		j.lastUses[used] = e.At
	}
	e.Use, e.Tell = nil, nil
	if len(j.events) < maxEvents {
		j.events = append(j.events, e)
		return
	}
	j.events[j.oldest] = e
	j.oldest = (j.oldest + 1) % maxEvents
}

// Stands implements idp.Fences.
func (s *Store) Stands(_ context.Context, f idp.Fence) (bool, error) {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	_, stands := s.journal.fences[f]
	return stands, nil
}

// forget takes down the fences that are too old to guard anything. It stops at
// the first that is not: events come nearly in order.
func (j *journal) forget(now time.Time) {
	n := 0
	for n < len(j.raised) && now.Sub(j.raised[n].at) > idp.FenceLife {
		delete(j.fences, j.raised[n].fence)
		n++
	}
	j.raised = j.raised[n:]
}

// Events returns the last 10,000 events, newest last.
func (s *Store) Events() []idp.Event {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Concat(j.events[j.oldest:], j.events[:j.oldest])
}
