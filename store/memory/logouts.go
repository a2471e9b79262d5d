package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

var (
	_ idp.Watches = (*Store)(nil)
	_ idp.Logouts = (*Store)(nil)
)

// maxLogouts is how many logouts are remembered that nobody waits for.
const maxLogouts = 1_000

// watched is a watch, and when its session is looked after next.
type watched struct {
	idp.Watch
	due time.Time
}

// logout is one on its way, or in the log.
type logout struct {
	idp.Logout
	due time.Time
}

// watch writes down who is told of a session's end. The caller has j.mu.
func (j *journal) watch(w idp.Watch, now time.Time) {
	at := slices.IndexFunc(j.watches, func(o watched) bool { return o.SID == w.SID && o.Client == w.Client })
	if at < 0 {
		j.watches = append(j.watches, watched{w, now.Add(idp.FirstLook)})
	}
}

// over lets the clients of a session be told, and says whether there were any.
// The caller has j.mu.
func (j *journal) over(sid string) bool {
	before := len(j.watches)
	j.watches = slices.DeleteFunc(j.watches, func(w watched) bool {
		if w.SID != sid {
			return false
		}
		j.told++
		j.logouts = append(j.logouts, logout{Logout: idp.Logout{ID: j.told, SID: w.SID, Client: w.Client, Subject: w.Subject}})
		return true
	})
	return len(j.watches) < before
}

// look lets all that is watched be due: something has changed about people. The
// caller has j.mu.
func (j *journal) look() {
	for i := range j.watches {
		j.watches[i].due = time.Time{}
	}
}

// DueWatches implements idp.Watches.
func (s *Store) DueWatches(_ context.Context, now, until time.Time, most int) ([]idp.Watch, error) {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	var due []idp.Watch
	for i := range j.watches {
		if w := &j.watches[i]; !w.due.After(now) && len(due) < most {
			w.due, w.Held = until, until
			due = append(due, w.Watch)
		}
	}
	return due, nil
}

// WatchOn implements idp.Watches.
func (s *Store) WatchOn(_ context.Context, w idp.Watch, next time.Time) error {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.watches {
		if o := &j.watches[i]; o.SID == w.SID && o.Client == w.Client && o.due.Equal(w.Held) {
			o.due = next
		}
	}
	return nil
}

// EndWatch implements idp.Watches.
func (s *Store) EndWatch(_ context.Context, sid string, act idp.Act) error {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.over(sid) {
		return idp.ErrNotFound
	}
	j.append(act)
	return nil
}

// TakeLogouts implements idp.Logouts.
func (s *Store) TakeLogouts(_ context.Context, t idp.LogoutTaking) ([]idp.Logout, error) {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	waiting := make([]*logout, 0, len(j.logouts))
	for i := range j.logouts {
		if l := &j.logouts[i]; l.Result == "" && !l.due.After(t.Now) && !slices.Contains(t.But, l.Client) {
			waiting = append(waiting, l)
		}
	}
	slices.SortStableFunc(waiting, func(a, b *logout) int { return a.due.Compare(b.due) })
	var taken []idp.Logout
	each := map[string]int{}
	for _, l := range waiting {
		if _, known := each[l.Client]; !known && len(each) == t.Clients || each[l.Client] == t.Each {
			continue
		}
		each[l.Client]++
		l.due, l.Held, l.Tries = t.Until, t.Until, l.Tries+1
		if l.At.IsZero() {
			l.At = t.Now
		}
		taken = append(taken, l.Logout)
	}
	return taken, nil
}

// PutBackLogout implements idp.Logouts.
func (s *Store) PutBackLogout(_ context.Context, l idp.Logout, next time.Time) error {
	return s.settle(l, next, nil)
}

// EndLogout implements idp.Logouts.
func (s *Store) EndLogout(_ context.Context, l idp.Logout) error {
	if l.Result == idp.LogoutTold {
		return s.settle(l, time.Time{}, nil)
	}
	failed := l.Failed(l.SaidAt)
	return s.settle(l, time.Time{}, &failed)
}

// settle writes down what became of a logout, and its event if it has one.
func (s *Store) settle(l idp.Logout, due time.Time, e *idp.Event) error {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	at := slices.IndexFunc(j.logouts, func(o logout) bool { return o.ID == l.ID && o.Result == "" && o.due.Equal(l.Held) })
	if at < 0 {
		return idp.ErrNotFound
	}
	j.logouts[at] = logout{l, due}
	if e != nil {
		j.append(idp.Act{Event: *e})
	}
	j.logouts = slices.DeleteFunc(j.logouts, func(o logout) bool { return o.Result != "" && l.SaidAt.Sub(o.SaidAt) > idp.LogoutLogLife })
	if ended := slices.IndexFunc(j.logouts, func(o logout) bool { return o.Result != "" }); len(j.logouts) > maxLogouts && ended >= 0 {
		j.logouts = slices.Delete(j.logouts, ended, ended+1)
	}
	return nil
}

// LastLogouts implements idp.Logouts.
func (s *Store) LastLogouts(_ context.Context, most int) ([]idp.Logout, error) {
	j := &s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	var last []idp.Logout
	for _, l := range j.logouts {
		last = append(last, l.Logout)
	}
	slices.SortFunc(last, func(a, b idp.Logout) int { return cmp.Compare(b.ID, a.ID) })
	return last[:min(most, len(last))], nil
}
