// Package memory is the registry in memory, for `lanyard dev`.
//
// It holds one directory document and answers from it; what development
// changes goes through Options.Save, so that it can outlive the process. What
// happened (the journal), who worked where last, changes that wait for a second
// person, codes to add a key and what documents manage do not: a restart forgets
// them. It never reads the clock, a file or the network.
package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Store is the registry in memory. It is safe for concurrent use, and what it
// returns is the caller's own.
type Store struct {
	issuer string
	save   func(directory.Document) error
	now    func() time.Time // may be nil

	journal journal

	saving sync.Mutex // held from before a change until it is kept

	mu  sync.RWMutex
	doc directory.Document
	places
	roles   map[lastRole]string
	notices map[string]time.Time // when people were last told that something of theirs ends, by uid

	uses      map[string]use       // by the id of the authenticator
	signedOut map[string]time.Time // by uid

	registration
}

var (
	_ idp.People      = (*Store)(nil)
	_ idp.Clients     = (*Store)(nil)
	_ idp.LastRoles   = (*Store)(nil)
	_ idp.Notices     = (*Store)(nil)
	_ idp.Journal     = (*Store)(nil)
	_ idp.Fences      = (*Store)(nil)
	_ smartcard.Cards = (*Store)(nil)
	_ smartcard.Rules = (*Store)(nil)
)

// Options are what a Store needs beside its document.
type Options struct {
	// CardIssuer is the upper-case hex SHA-256 of the public key of the
	// authority that issued the cards of the document.
	CardIssuer string

	// Now is the service's clock. Nil: lists of people say where somebody has any
	// position, whether it is over or not.
	Now func() time.Time

	// Save keeps a changed document. If it fails the change is not made. Nil
	// keeps nothing beyond the life of the process.
	Save func(directory.Document) error
}

// places say where in the document things are.
type places struct {
	orgs   map[string]idp.Organisation
	people map[string]int    // by uid
	client map[string]int    // by id
	cards  map[string]cardAt // by certificate serial
}

// cardAt is the place of a card in the document.
type cardAt struct{ person, card int }

type lastRole struct{ uid, client string }

// New returns a registry that holds doc. It is an error if an identifier in
// doc occurs twice, which directory.Read does not allow.
func New(doc directory.Document, o Options) (*Store, error) {
	at, err := placesIn(doc)
	if err != nil {
		return nil, err
	}
	s := &Store{
		issuer:  o.CardIssuer,
		save:    o.Save,
		now:     o.Now,
		journal: journal{fences: map[idp.Fence]struct{}{}, lastSignIns: map[string]time.Time{}, lastUses: map[[2]string]time.Time{}},
		doc:     doc.Clone(),
		places:  at,
		roles:   map[lastRole]string{},
		notices: map[string]time.Time{},

		uses:      map[string]use{},
		signedOut: map[string]time.Time{},

		registration: newRegistration(doc),
	}
	if s.save == nil {
		s.save = func(directory.Document) error { return nil }
	}
	return s, nil
}

// placesIn returns where in doc things are. It is an error if an identifier
// occurs twice.
func placesIn(doc directory.Document) (places, error) {
	at := places{orgs: doc.ByCode(), people: make(map[string]int, len(doc.People)), client: make(map[string]int, len(doc.Clients)),
		cards: map[string]cardAt{}}
	for i, p := range doc.People {
		if _, taken := at.people[p.UID]; taken {
			return at, fmt.Errorf("two people have the uid %q", p.UID)
		}
		at.people[p.UID] = i
		for j, c := range p.Cards {
			serial := directory.CardSerial(c.Serial)
			if _, taken := at.cards[serial]; taken || serial == "" {
				return at, fmt.Errorf("the card serial %q of %s is not one, or another card's", c.Serial, p.UID)
			}
			at.cards[serial] = cardAt{i, j}
		}
	}
	if err := oneOfEach(doc); err != nil {
		return at, err
	}
	for i, c := range doc.Clients {
		if _, taken := at.client[c.ID]; taken {
			return at, fmt.Errorf("two clients have the id %q", c.ID)
		}
		at.client[c.ID] = i
	}
	return at, nil
}

// oneOfEach refuses an e-mail of two people, and an authenticator that is there
// twice.
func oneOfEach(doc directory.Document) error {
	type name struct{ kind, text string }
	seen := map[name]bool{}
	once := func(kind, text string) error {
		n := name{kind, text}
		if text != "" && seen[n] {
			return fmt.Errorf("the %s %q is there twice", kind, text)
		}
		seen[n] = true
		return nil
	}
	var problems []error
	for _, p := range doc.People {
		for _, a := range p.Authenticators {
			problems = append(problems, once("authenticator", a.ID), once(string(a.Kind), a.Handle))
		}
	}
	return errors.Join(problems...)
}

// Person returns the person with that uid, or idp.ErrNotFound.
func (s *Store) Person(_ context.Context, uid string) (idp.Person, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.people[uid]
	if !ok {
		return idp.Person{}, idp.ErrNotFound
	}
	return s.person(s.doc.People[i]), nil
}

// PersonNow implements idp.People: nothing is remembered here.
func (s *Store) PersonNow(ctx context.Context, uid string) (idp.Person, error) {
	return s.Person(ctx, uid)
}

// person returns p as the rules know them. The caller has s.mu.
func (s *Store) person(p directory.Person) idp.Person {
	person := p.IDP(s.orgs)
	person.SignedOutAt = s.signedOut[p.UID]
	return person
}

// Client returns the client with that id, or idp.ErrClientUnknown.
func (s *Store) Client(_ context.Context, id string) (idp.Client, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.client[id]
	if !ok {
		return idp.Client{}, idp.ErrClientUnknown
	}
	return s.doc.Clients[i].IDP(), nil
}

// CardByCertificate returns the card with that certificate, or
// smartcard.ErrNotRegistered.
func (s *Store) CardByCertificate(_ context.Context, issuer, serial string) (smartcard.Card, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at, ok := s.cards[serial]
	if !ok || issuer != cmp.Or(s.issuers[serial], s.issuer) {
		return smartcard.Card{}, smartcard.ErrNotRegistered
	}
	holder := &s.doc.People[at.person]
	card := holder.Cards[at.card]
	if !card.Registered {
		return smartcard.Card{}, smartcard.ErrNotRegistered
	}
	return smartcard.Card{
		Serial: serial,
		Series: card.Series,
		State:  smartcard.State(card.State),
		Holder: holder.UID,
	}, nil
}

// BlockedFrom returns the midnight in London from which on cards of a series
// are refused: the earliest that the policy names.
func (s *Store) BlockedFrom(_ context.Context, series int) (time.Time, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var first idp.Date
	for _, rule := range s.doc.Policy.CardSeries {
		if rule.Series == series && rule.BlockedFrom != "" && (first == "" || rule.BlockedFrom < first) {
			first = rule.BlockedFrom
		}
	}
	if first == "" {
		return time.Time{}, false, nil
	}
	from, err := first.Begins()
	if err != nil {
		return time.Time{}, false, fmt.Errorf("series %d: %w", series, err)
	}
	return from, true, nil
}

// AtGateway implements smartcard.GatewayRules.
func (s *Store) AtGateway(_ context.Context, series int) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !slices.ContainsFunc(s.doc.Policy.CardSeries, func(r directory.SeriesRule) bool { return r.Series == series && !r.LegacyGateway }), nil
}

// AgentRules implements smartcard.Rules.
func (s *Store) AgentRules(_ context.Context, product string) ([]smartcard.AgentRule, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var rules []smartcard.AgentRule
	for _, rule := range s.doc.Policy.Agents {
		if rule.Product != product || rule.BlockedFrom == "" {
			continue
		}
		from, err := rule.BlockedFrom.Begins()
		if err != nil {
			return nil, fmt.Errorf("agent %s: %w", product, err)
		}
		rules = append(rules, smartcard.AgentRule{Except: rule.Except, Below: rule.Below, From: from})
	}
	return rules, nil
}

// WarnDays implements idp.Notices and smartcard.Rules.
func (s *Store) WarnDays(context.Context) ([]int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.doc.Policy.WarnDays), nil
}

// LastNotice implements idp.Notices.
func (s *Store) LastNotice(_ context.Context, uid string) (time.Time, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.notices[uid], nil
}

// SaveNotice implements idp.Notices.
func (s *Store) SaveNotice(_ context.Context, uid string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices[uid] = at
	return nil
}

// LastRole returns the position that a person last used with a client, or "".
func (s *Store) LastRole(_ context.Context, uid, client string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.roles[lastRole{uid, client}], nil
}

// SaveLastRole keeps the position that a person used with a client.
func (s *Store) SaveLastRole(_ context.Context, uid, client, position string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[lastRole{uid, client}] = position
	return nil
}

// Document returns a copy of the document as it is now.
func (s *Store) Document() directory.Document {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.doc.Clone()
	for i := range d.People {
		d.People[i] = s.marked(d.People[i])
	}
	return d
}

// marked is a copy of somebody with the last uses of their authenticators. The
// caller has s.mu.
func (s *Store) marked(p directory.Person) directory.Person {
	for i := range p.Authenticators {
		if u, ok := s.uses[p.Authenticators[i].ID]; ok {
			p.Authenticators[i].Mark = directory.Record(u.mark)
		}
	}
	return p
}

// SetCardTries writes down how many tries of its passcode the card with that
// serial has left. The serial may be as the document or as the certificate has
// it. idp.ErrNotFound if there is no such card.
func (s *Store) SetCardTries(serial string, tries int) error {
	if tries < 0 || tries > directory.MaxTries {
		return fmt.Errorf("a card cannot have %d tries left", tries)
	}
	return s.change(func(d *directory.Document) error {
		at, ok := s.cards[directory.CardSerial(serial)] // nobody moves it meanwhile
		if !ok {
			return idp.ErrNotFound
		}
		d.People[at.person].Cards[at.card].TriesLeft = tries
		return nil
	})
}

// change makes one change and keeps it. Changes are saved one after the other,
// so the last to be saved is the last that was made; readers never wait for
// the saving.
func (s *Store) change(edit func(*directory.Document) error) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	changed := s.Document()
	if err := edit(&changed); err != nil {
		return err
	}
	if err := s.save(changed.Clone()); err != nil {
		return fmt.Errorf("save the directory: %w", err)
	}
	s.replace(changed)
	return nil
}
