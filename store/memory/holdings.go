package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

var (
	_ idp.Holdings = (*Store)(nil)
	_ idp.Contacts = (*Store)(nil)
	_ idp.SignOuts = (*Store)(nil)
)

// maxMails is how many mails are remembered.
const maxMails = 1_000

// use is what the last sign-in left at an authenticator.
type use struct {
	at   time.Time // zero: never
	mark json.RawMessage
}

// ByHandle implements authenticators.Held.
func (s *Store) ByHandle(_ context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.doc.People {
		for _, a := range p.Authenticators {
			if a.Kind == kind && a.Handle == handle {
				return s.held(p.UID, a), nil
			}
		}
	}
	return authenticators.Authenticator{}, authenticators.ErrNotHeld
}

// HeldBy implements authenticators.Held.
func (s *Store) HeldBy(_ context.Context, subject string) ([]authenticators.Authenticator, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.people[subject]
	if !ok {
		return nil, nil
	}
	var held []authenticators.Authenticator
	for _, a := range s.doc.People[i].Authenticators {
		held = append(held, s.held(subject, a))
	}
	slices.SortFunc(held, func(a, b authenticators.Authenticator) int {
		return cmp.Or(a.AddedAt.Compare(b.AddedAt), cmp.Compare(a.ID, b.ID))
	})
	return held, nil
}

// held returns a with what its uses left. The caller has s.mu.
func (s *Store) held(subject string, a directory.Authenticator) authenticators.Authenticator {
	h, u := a.Held(subject), s.uses[a.ID]
	h.UsedAt = u.at
	if u.mark != nil {
		h.Mark = bytes.Clone(u.mark)
	}
	return h
}

// AddAuthenticator implements idp.Holdings.
func (s *Store) AddAuthenticator(_ context.Context, a authenticators.Authenticator, act idp.Act) error {
	return s.act(act, func(d *directory.Document) error {
		i, ok := s.people[a.Subject]
		if !ok {
			return idp.ErrNotFound
		}
		for _, p := range d.People {
			if slices.ContainsFunc(p.Authenticators, func(o directory.Authenticator) bool {
				return o.ID == a.ID || o.Kind == a.Kind && o.Handle == a.Handle
			}) {
				return idp.ErrTaken
			}
		}
		p := &d.People[i]
		p.Authenticators = append(p.Authenticators, directory.AuthenticatorOf(a))
		return nil
	})
}

// RenameAuthenticator implements idp.Holdings.
func (s *Store) RenameAuthenticator(_ context.Context, subject, id, name string, act idp.Act) error {
	return s.changeHeld(subject, id, act, func(a *directory.Authenticator) error { a.Name = name; return nil })
}

// StopAuthenticator implements idp.Holdings.
func (s *Store) StopAuthenticator(_ context.Context, subject, id string, act idp.Act) error {
	return s.changeHeld(subject, id, act, func(a *directory.Authenticator) error { a.State = authenticators.Suspended; return nil })
}

// KeepRecord implements idp.Holdings.
func (s *Store) KeepRecord(_ context.Context, subject, id string, record json.RawMessage, act idp.Act) error {
	return s.changeHeld(subject, id, act, func(a *directory.Authenticator) error {
		if a.State != authenticators.Active {
			return idp.ErrNotFound
		}
		a.Record = directory.Record(record)
		return nil
	})
}

// changeHeld makes one change of what subject holds.
func (s *Store) changeHeld(subject, id string, act idp.Act, edit func(*directory.Authenticator) error) error {
	return s.act(act, func(d *directory.Document) error {
		p, i := s.holder(d, subject, id)
		if p == nil {
			return idp.ErrNotFound
		}
		return edit(&p.Authenticators[i])
	})
}

// StopCard implements idp.Holdings.
func (s *Store) StopCard(_ context.Context, subject, serial string, act idp.Act) error {
	return s.act(act, func(d *directory.Document) error {
		i, ok := s.people[subject]
		if !ok {
			return idp.ErrNotFound
		}
		for j := range d.People[i].Cards {
			c := &d.People[i].Cards[j]
			if directory.CardSerial(c.Serial) == directory.CardSerial(serial) && c.State == directory.CardState(smartcard.Active) {
				c.State = directory.CardState(smartcard.Suspended)
				return nil
			}
		}
		return idp.ErrNotFound
	})
}

// Tell implements idp.Teller.
func (s *Store) Tell(_ context.Context, act idp.Act) error {
	return s.act(act, func(*directory.Document) error { return nil })
}

// RemoveAuthenticator implements idp.Holdings.
func (s *Store) RemoveAuthenticator(_ context.Context, subject, id string, act idp.Act) error {
	return s.act(act, func(d *directory.Document) error {
		p, i := s.holder(d, subject, id)
		if p == nil {
			return idp.ErrNotFound
		}
		p.Authenticators = slices.Delete(p.Authenticators, i, i+1)
		return nil
	})
}

// holder returns the person of d called uid and the place among theirs of the
// authenticator called id, or nil if they do not hold it.
func (s *Store) holder(d *directory.Document, uid, id string) (*directory.Person, int) {
	i, ok := s.people[uid]
	if !ok {
		return nil, 0
	}
	p := &d.People[i]
	at := slices.IndexFunc(p.Authenticators, func(a directory.Authenticator) bool { return a.ID == id })
	if at < 0 {
		return nil, 0
	}
	return p, at
}

// PersonByEmail implements idp.Contacts. An e-mail that a document gives to
// several people finds none of them: nobody could say whose password it is.
func (s *Store) PersonByEmail(_ context.Context, email string) (idp.Contact, error) {
	key := idp.EmailKey(email)
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []directory.Person
	for _, p := range s.doc.People {
		if key != "" && idp.EmailKey(p.Email) == key {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return idp.Contact{}, idp.ErrNotFound
	}
	p := s.person(found[0])
	return idp.Contact{UID: p.UID, Name: p.Name, Email: p.Email, Profile: p.Profile, Robot: p.Robot}, nil
}

// SaveEmail implements idp.Contacts.
func (s *Store) SaveEmail(_ context.Context, uid, email string, act idp.Act) error {
	return s.act(act, func(d *directory.Document) error {
		i, ok := s.people[uid]
		if !ok {
			return idp.ErrNotFound
		}
		key := idp.EmailKey(email)
		for j, p := range d.People {
			if j != i && key != "" && idp.EmailKey(p.Email) == key {
				return idp.ErrTaken
			}
		}
		d.People[i].Email = email
		return nil
	})
}

// SignOut implements idp.SignOuts. No session outlives the process, so neither
// does this.
func (s *Store) SignOut(_ context.Context, uid string, at time.Time, act idp.Act) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	if _, ok := s.people[uid]; !ok {
		return idp.ErrNotFound
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	if err := s.journal.free(act.Event.At, act.Fences); err != nil {
		return err
	}
	s.mu.Lock()
	if at.After(s.signedOut[uid]) {
		s.signedOut[uid] = at
	}
	s.mu.Unlock()
	s.journal.append(act)
	s.journal.look()
	return nil
}

// act makes one change of the document with its act: all of it or nothing.
func (s *Store) act(act idp.Act, edit func(*directory.Document) error) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	changed := s.Document()
	if err := edit(&changed); err != nil {
		return err
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	if err := s.journal.free(act.Event.At, act.Fences); err != nil {
		return err
	}
	if u := act.Event.Use; u != nil {
		if err := s.useNow(*u, act.Event.At); err != nil {
			return err
		}
	}
	if err := s.save(changed.Clone()); err != nil {
		return fmt.Errorf("save the directory: %w", err)
	}
	s.replace(changed)
	s.journal.append(act)
	s.journal.look()
	return nil
}

// replace makes doc what the registry holds.
func (s *Store) replace(doc directory.Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doc = doc
	held := make(map[string]use, len(s.uses))
	for _, p := range doc.People {
		for _, a := range p.Authenticators {
			if u, ok := s.uses[a.ID]; ok {
				held[a.ID] = u
			}
		}
	}
	s.uses = held
}

// useNow writes u down, if it counts.
func (s *Store) useNow(u authenticators.Use, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.doc.People {
		for _, a := range p.Authenticators {
			if a.ID != u.ID || a.State != authenticators.Active {
				continue
			}
			h := s.held(p.UID, a)
			if u.Mark != nil && !sameJSON(h.Mark, u.Was) {
				break
			}
			if u.Mark != nil {
				h.Mark = bytes.Clone(u.Mark)
			}
			if at.After(h.UsedAt) {
				h.UsedAt = at
			}
			s.uses[u.ID] = use{h.UsedAt, h.Mark}
			return nil
		}
	}
	return fmt.Errorf("authenticator %s: %w", u.ID, idp.ErrUsed)
}

// sameJSON says whether a and b hold the same, however it is written.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if len(a) > 0 && json.Unmarshal(a, &x) != nil || len(b) > 0 && json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// Mails returns the last 1,000 mails that would have been sent, newest last.
func (s *Store) Mails() []idp.Mail {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return slices.Clone(s.journal.mails)
}
