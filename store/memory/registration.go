package memory

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

var (
	_ registry.Keeper     = (*Store)(nil)
	_ registry.Enrolments = (*Store)(nil)
	_ registry.Managing   = (*Store)(nil)
	_ registry.CardLedger = (*Store)(nil)
)

// registration is what the registration authority keeps beside the directory.
// A restart forgets it.
type registration struct {
	tagKey   []byte // names what people are, and can be guessed from by nobody
	used     map[string]bool
	addedAt  map[string]time.Time
	issuers  map[string]string // by card serial
	issued   map[string]registry.Issued
	requests map[string]registry.Request
	invited  map[string]registry.Applicant // by id
	codes    map[string]registry.Enrolment
	managed  map[registry.Name]bool
}

func newRegistration(doc directory.Document) registration {
	r := registration{tagKey: make([]byte, 32), used: map[string]bool{}, addedAt: map[string]time.Time{}, issuers: map[string]string{},
		issued:   map[string]registry.Issued{},
		requests: map[string]registry.Request{}, invited: map[string]registry.Applicant{}, codes: map[string]registry.Enrolment{}, managed: map[registry.Name]bool{}}
	rand.Read(r.tagKey) // never fails: crypto/rand ends the program instead
	for _, p := range doc.People {
		r.used[p.UID] = true
	}
	return r
}

// Records implements registry.Keeper.
func (s *Store) Records(_ context.Context, t registry.Touch) (registry.Records, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.records(t), nil
}

// records returns a copy of what t names. The caller has s.mu.
func (s *Store) records(t registry.Touch) registry.Records {
	r := registry.Records{People: map[string]*registry.Person{}, Organisations: map[string]*directory.Organisation{},
		Clients: map[string]*directory.Client{}, Requests: map[string]*registry.Request{}, Applicants: map[string]*registry.Applicant{}, Managed: map[registry.Name]bool{}}
	for _, p := range s.doc.People {
		if !touches(t, p) && !s.hasKey(p, t.CardKey) {
			continue
		}
		p = s.marked(p.Clone())
		kept := registry.Person{Person: p, ETag: s.tagOf(p), AddedAt: s.addedAt[p.UID], Issuers: map[string]string{}, Issued: map[string]registry.Issued{}}
		for _, c := range p.Cards {
			if is, ok := s.issued[directory.CardSerial(c.Serial)]; ok {
				kept.Issued[c.Serial] = is
			}
			kept.Issuers[c.Serial] = cmp.Or(s.issuers[directory.CardSerial(c.Serial)], s.issuer)
		}
		r.People[p.UID] = &kept
	}
	orgs := map[string]directory.Organisation{}
	for _, o := range s.doc.Organisations {
		orgs[o.Code] = o
	}
	codes := append(slices.Clone(t.Organisations), t.At)
	for _, p := range r.People { // the right to change them is held where they work
		for _, pos := range p.Positions {
			codes = append(codes, pos.Organisation)
		}
	}
	for id, a := range s.invited {
		if slices.Contains(t.Applicants, id) || t.Invitation != "" && a.Hash == t.Invitation {
			r.Applicants[id] = &a
			codes = append(codes, a.At)
		}
	}
	for _, code := range codes {
		for o, ok := orgs[code]; ok && r.Organisations[o.Code] == nil; o, ok = orgs[o.Parent] {
			r.Organisations[o.Code] = &o
		}
	}
	for _, c := range s.doc.Clients {
		if slices.Contains(t.Clients, c.ID) {
			c = c.Clone()
			r.Clients[c.ID] = &c
		}
	}
	for _, id := range t.Requests {
		if q, ok := s.requests[id]; ok {
			q.Change = slices.Clone(q.Change)
			r.Requests[id] = &q
		}
	}
	if t.Policy {
		policy := directory.Document{Policy: s.doc.Policy}.Clone().Policy
		r.Policy = &policy
	}
	return r
}

// touches says whether t names p, by whatever.
func touches(t registry.Touch, p directory.Person) bool {
	return slices.Contains(t.People, p.UID) ||
		slices.ContainsFunc(p.Cards, func(c directory.Card) bool {
			return slices.ContainsFunc(t.Cards, func(serial string) bool {
				return directory.CardSerial(serial) == directory.CardSerial(c.Serial)
			})
		}) ||
		slices.ContainsFunc(p.Positions, func(s directory.Position) bool {
			return slices.Contains(t.Positions, s.ID) || t.At != "" && s.Organisation == t.At
		})
}

// hasKey says whether a card of p has a key, or had it until it was revoked. The
// caller has s.mu.
func (s *Store) hasKey(p directory.Person, key string) bool {
	return key != "" && slices.ContainsFunc(p.Cards, func(c directory.Card) bool { return s.issued[directory.CardSerial(c.Serial)].Key == key })
}

// tagOf names what p is.
func (s *Store) tagOf(p directory.Person) string {
	h := hmac.New(sha256.New, s.tagKey)
	for _, a := range p.Authenticators {
		_, _ = fmt.Fprintf(h, "%q %q %q %q %d\n", a.ID, a.Name, a.State, a.Method, a.Level)
	}
	p.Authenticators = nil // what signing in leaves there is no change
	_, _ = fmt.Fprintf(h, "%#v", p)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// Change implements registry.Keeper.
func (s *Store) Change(_ context.Context, t registry.Touch, decide func(*registry.Records) (idp.Act, error)) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.RLock()
	was, now := s.records(t), s.records(t)
	s.mu.RUnlock()
	now.SameNumber = s.sameNumber(t.NINumber)
	act, err := decide(&now)
	if err != nil {
		return err
	}
	for _, end := range now.Ends {
		act.Fences = append(act.Fences, end.Over()...)
	}
	act.Mails = append(act.Mails, now.Mails...)
	if now.Spent != "" && !s.good(now.Spent, act.Event.At) {
		return idp.ErrNotFound
	}
	next, err := s.with(s.Document(), was, now)
	if err != nil {
		return err
	}
	at, err := placesIn(next)
	if err != nil {
		return fmt.Errorf("%w: %w", idp.ErrTaken, err)
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	if err := s.journal.free(act.Event.At, act.Fences); err != nil {
		return err
	}
	if err := s.save(next.Clone()); err != nil {
		return fmt.Errorf("save the directory: %w", err)
	}
	s.replace(next)
	s.keep(at, was, now, act.Event.At)
	s.journal.append(act)
	for _, e := range now.Events {
		s.journal.append(idp.Act{Event: e})
	}
	s.journal.look()
	return nil
}

// with returns doc with what is different between was and now. It is
// idp.ErrTaken where that is somebody else's.
func (s *Store) with(doc directory.Document, was, now registry.Records) (directory.Document, error) {
	for _, uid := range slices.Sorted(maps.Keys(now.People)) {
		p := now.People[uid].Person
		i := slices.IndexFunc(doc.People, func(o directory.Person) bool { return o.UID == uid })
		switch {
		case i >= 0 && was.People[uid] == nil, i < 0 && s.used[uid]:
			return doc, idp.ErrTaken
		case i >= 0:
			doc.People[i] = p
		default:
			doc.People = append(doc.People, p)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(now.Organisations)) {
		i := slices.IndexFunc(doc.Organisations, func(o directory.Organisation) bool { return o.Code == code })
		switch {
		case i >= 0 && was.Organisations[code] == nil:
			return doc, idp.ErrTaken
		case i >= 0:
			doc.Organisations[i] = *now.Organisations[code]
		default:
			doc.Organisations = append(doc.Organisations, *now.Organisations[code])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now.Clients)) {
		i := slices.IndexFunc(doc.Clients, func(c directory.Client) bool { return c.ID == id })
		switch {
		case i >= 0 && was.Clients[id] == nil:
			return doc, idp.ErrTaken
		case i >= 0:
			doc.Clients[i] = *now.Clients[id]
		default:
			doc.Clients = append(doc.Clients, *now.Clients[id])
		}
	}
	if now.Policy != nil {
		doc.Policy = *now.Policy
	}
	for id := range now.Requests {
		if _, there := s.requests[id]; there && was.Requests[id] == nil {
			return doc, idp.ErrTaken
		}
	}
	for id, a := range now.Applicants {
		for _, other := range s.invited {
			if was.Applicants[id] == nil && (other.ID == id || other.Hash == a.Hash) {
				return doc, idp.ErrTaken
			}
		}
	}
	for _, c := range now.Codes {
		if _, there := s.codes[c.Hash]; there {
			return doc, idp.ErrTaken
		}
	}
	if err := s.twoKeys(doc, now); err != nil {
		return doc, err
	}
	return doc.Clone(), taken(doc, now)
}

// twoKeys is idp.ErrTaken if two cards that may be used have one key.
func (s *Store) twoKeys(doc directory.Document, now registry.Records) error {
	seen := map[string]bool{}
	for _, p := range doc.People {
		for _, c := range p.Cards {
			is := s.issued[directory.CardSerial(c.Serial)]
			if changed := now.People[p.UID]; changed != nil {
				is = changed.Issued[c.Serial]
			}
			if is.Key == "" || c.State == "revoked" {
				continue
			}
			if seen[is.Key] {
				return idp.ErrTaken
			}
			seen[is.Key] = true
		}
	}
	return nil
}

// CardStanding implements registry.CardLedger.
func (s *Store) CardStanding(_ context.Context, issuer, serial string) (registry.CardStanding, error) {
	all := s.standings(issuer, "")
	if i := slices.IndexFunc(all, func(c registry.CardStanding) bool { return c.Serial == serial }); i >= 0 {
		return all[i], nil
	}
	return registry.CardStanding{}, registry.ErrNoCard
}

// RevokedCards implements registry.CardLedger.
func (s *Store) RevokedCards(_ context.Context, issuer string, day idp.Date) ([]registry.CardStanding, error) {
	return slices.DeleteFunc(s.standings(issuer, day), func(c registry.CardStanding) bool { return !c.Revoked }), nil
}

// standings are the cards of an authority that had not ended before a day.
func (s *Store) standings(issuer string, day idp.Date) []registry.CardStanding {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []registry.CardStanding
	for _, p := range s.doc.People {
		for _, c := range p.Cards {
			serial := directory.CardSerial(c.Serial)
			if c.Registered && cmp.Or(s.issuers[serial], s.issuer) == issuer && (c.EndsOn == "" || c.EndsOn >= day) {
				all = append(all, registry.CardStanding{Serial: serial, Revoked: c.State == "revoked", RevokedAt: s.issued[serial].RevokedAt})
			}
		}
	}
	return all
}

// taken is idp.ErrTaken if a position or an e-mail is of two people. Addresses
// that people share already may stay: a document may hold them.
func taken(doc directory.Document, now registry.Records) error {
	positions, orgs := map[string]bool{}, doc.ByCode()
	emails := map[string][]string{}
	for _, p := range doc.People {
		for _, s := range p.Positions {
			if positions[s.ID] {
				return idp.ErrTaken
			}
			positions[s.ID] = true
			if _, there := orgs[s.Organisation]; !there {
				return idp.ErrNotFound
			}
		}
		if key := idp.EmailKey(p.Email); key != "" {
			emails[key] = append(emails[key], p.UID)
		}
	}
	for uid, p := range now.People {
		if whose := emails[idp.EmailKey(p.Email)]; len(whose) > 1 && slices.Contains(whose, uid) {
			return idp.ErrTaken
		}
	}
	return nil
}

// keep keeps what no document has. The caller has s.saving.
func (s *Store) keep(at places, was, now registry.Records, when time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places = at
	for uid, p := range now.People {
		if was.People[uid] == nil {
			s.used[uid], s.addedAt[uid] = true, p.AddedAt
			if p.AddedAt.IsZero() {
				s.addedAt[uid] = when
			}
		}
		if p.SignedOutAt.After(s.signedOut[uid]) {
			s.signedOut[uid] = p.SignedOutAt
		}
		for serial, issuer := range p.Issuers {
			s.issuers[directory.CardSerial(serial)] = issuer
		}
		for serial, is := range p.Issued {
			s.issued[directory.CardSerial(serial)] = is
		}
	}
	for id, q := range now.Requests {
		s.requests[id] = *q
	}
	for id, a := range now.Applicants {
		s.invited[id] = *a
	}
	delete(s.codes, now.Spent)
	for _, c := range now.Codes {
		s.codes[c.Hash] = c
	}
	for name, is := range now.Managed {
		if is {
			s.managed[name] = true
		} else {
			delete(s.managed, name)
		}
	}
}

// FindEnrolment implements registry.Enrolments.
func (s *Store) FindEnrolment(_ context.Context, hash string, now time.Time) (registry.Enrolment, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.codes[hash]
	if !ok || !now.Before(e.Until) {
		return registry.Enrolment{}, idp.ErrNotFound
	}
	return e, nil
}

// good says whether an enrolment code is there that can be used at that time.
func (s *Store) good(hash string, at time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.codes[hash]
	return ok && at.Before(e.Until)
}

// Managed implements registry.Managing.
func (s *Store) Managed(context.Context) ([]registry.Name, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(s.managed), func(a, b registry.Name) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	}), nil
}
