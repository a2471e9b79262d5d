package dev

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualagent"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// Registry is where the drawer's cards are written down.
type Registry interface {
	smartcard.Rules
	Document() directory.Document

	// SetCardTries keeps how many tries of its passcode a card has left.
	SetCardTries(serial string, tries int) error
}

// Drawer holds a virtual card for every card of the directory, and one of
// another authority's. A card is made when it is first used, because making a
// key takes time.
type Drawer struct {
	Authority *cardca.Authority
	Foreign   *cardca.Authority // one that the service does not trust
	Registry  Registry
	Room      *smartcard.Room
	Agent     virtualagent.Agent
	Now       func() time.Time

	mu    sync.Mutex
	cards map[string]*virtualcard.Card // by serial
}

var _ api.VirtualCards = (*Drawer)(nil)

// listing is a card and its holder, as the directory has them.
type listing struct {
	person  directory.Person
	card    directory.Card
	foreign bool // of another authority; nobody holds it
}

// stray is the card of another authority, which no directory has.
var stray = listing{
	person:  directory.Person{Name: directory.Name{Display: "A card of another authority"}},
	card:    directory.Card{Serial: "FF01", TriesLeft: virtualcard.Tries},
	foreign: true,
}

// listings are the cards that there are.
func (d *Drawer) listings() []listing {
	var list []listing
	for _, p := range d.Registry.Document().People {
		for _, c := range p.Cards {
			list = append(list, listing{person: p, card: c})
		}
	}
	if d.Foreign != nil {
		list = append(list, stray) // last: a card of the directory with its number is found before it
	}
	return list
}

func (d *Drawer) find(serial string) (listing, error) {
	for _, l := range d.listings() {
		if l.card.Serial == serial {
			return l, nil
		}
	}
	return listing{}, idp.ErrNotFound
}

// Cards implements api.VirtualCards.
func (d *Drawer) Cards(ctx context.Context) []web.VirtualCard {
	var list []web.VirtualCard
	for _, l := range d.listings() {
		list = append(list, d.shown(ctx, l))
	}
	return list
}

// Show implements api.VirtualCards.
func (d *Drawer) Show(ctx context.Context, serial string) (web.VirtualCard, string, int, error) {
	l, err := d.find(serial)
	if err != nil {
		return web.VirtualCard{}, "", 0, smartcard.ErrNotRegistered
	}
	card, err := d.card(l)
	if err != nil {
		return web.VirtualCard{}, "", 0, err
	}
	if err := d.Room.Inspect(ctx, card.Certificate()); err != nil {
		return web.VirtualCard{}, "", 0, err
	}
	if card.TriesLeft() == 0 {
		return web.VirtualCard{}, "", 0, smartcard.ErrBlocked
	}
	return d.shown(ctx, l), orElse(l.card.Passcode, defaultPasscode), card.TriesLeft(), nil
}

// Sign implements api.VirtualCards.
func (d *Drawer) Sign(ctx context.Context, login authenticators.Login, serial, passcode string) (json.RawMessage, error) {
	l, err := d.find(serial)
	if err != nil {
		return nil, smartcard.ErrNotRegistered
	}
	card, err := d.card(l)
	if err != nil {
		return nil, err
	}
	asked, err := d.Room.Begin(ctx, login)
	if err != nil {
		return nil, err
	}
	var question struct {
		Handle string `json:"handle"`
	}
	if err := json.Unmarshal(asked, &question); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	tx, completion, err := d.Agent.Sign(ctx, question.Handle, card, passcode)
	var wrong virtualcard.PINError
	if errors.As(err, &wrong) {
		return nil, &api.WrongPasscode{TriesLeft: wrong.TriesLeft}
	}
	if errors.Is(err, virtualcard.ErrBlocked) {
		return nil, smartcard.ErrBlocked
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"tx": tx, "completion": completion})
}

// Auto returns what signs the person uid in by themself: with their first card
// and its passcode. It is idp.ErrNotFound if there is no such person.
func (d *Drawer) Auto(uid string) (func(context.Context, authenticators.Login) (json.RawMessage, error), error) {
	for _, p := range d.Registry.Document().People {
		if p.UID != uid {
			continue
		}
		return func(ctx context.Context, login authenticators.Login) (json.RawMessage, error) {
			if len(p.Cards) == 0 {
				return nil, smartcard.ErrNotRegistered
			}
			return d.Sign(ctx, login, p.Cards[0].Serial, orElse(p.Cards[0].Passcode, defaultPasscode))
		}, nil
	}
	return nil, idp.ErrNotFound
}

// card returns the virtual card of l.
func (d *Drawer) card(l listing) (*virtualcard.Card, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c, ok := d.cards[l.card.Serial]; ok {
		return c, nil
	}
	c, err := d.make(l)
	if err != nil {
		return nil, fmt.Errorf("make virtual card %s: %w", l.card.Serial, err)
	}
	if d.cards == nil {
		d.cards = map[string]*virtualcard.Card{}
	}
	d.cards[l.card.Serial] = c
	return c, nil
}

// File returns the first card of the person uid as a file, for the agent at a
// desk: another copy of the card, with a key of its own and its own count of
// tries. It is idp.ErrNotFound if there is none.
func (d *Drawer) File(uid string) ([]byte, error) {
	for _, l := range d.listings() {
		if l.person.UID != uid || uid == "" {
			continue
		}
		c, err := d.config(l)
		if err != nil {
			return nil, fmt.Errorf("make virtual card %s: %w", l.card.Serial, err)
		}
		return virtualcard.Write(c)
	}
	return nil, idp.ErrNotFound
}

// make makes a key and a certificate and puts both on a card.
func (d *Drawer) make(l listing) (*virtualcard.Card, error) {
	c, err := d.config(l)
	if err != nil {
		return nil, err
	}
	return virtualcard.New(c)
}

// config makes what is on a card.
func (d *Drawer) config(l listing) (virtualcard.Config, error) {
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		return virtualcard.Config{}, err
	}
	certificate, err := d.certify(l, key.Public())
	if err != nil {
		return virtualcard.Config{}, err
	}
	guid := sha256.Sum256([]byte("guid " + l.card.Serial))
	tries := min(l.card.TriesLeft, virtualcard.Tries)
	return virtualcard.Config{
		Key: key, Certificate: certificate, GUID: [16]byte(guid[:16]), TriesLeft: &tries,
		Passcode: orElse(l.card.Passcode, defaultPasscode), PUK: orElse(l.card.PUK, defaultPUK),
		OnChange: func(is virtualcard.Config) { _ = d.Registry.SetCardTries(l.card.Serial, *is.TriesLeft) }, // the card keeps count by itself
	}, nil
}

// certify issues the certificate that the directory says the card has, and
// revokes it where the directory says that too.
func (d *Drawer) certify(l listing, key crypto.PublicKey) (*x509.Certificate, error) {
	authority := d.Authority
	if l.foreign {
		authority = d.Foreign
	}
	from, to := life(l.card.Certificate, d.Now())
	certificate, err := authority.Issue(cardca.Request{
		Key: key, Serial: l.card.Serial, UID: l.person.UID, NotBefore: from, NotAfter: to,
	})
	if err != nil {
		return nil, err
	}
	if l.card.Certificate == "revoked" {
		if err := authority.Revoke(l.card.Serial); err != nil {
			return nil, err
		}
	}
	return certificate, nil
}

// What a card of the directory has that says nothing of its own.
const (
	defaultPasscode = "123456"
	defaultPUK      = "12345678"
)

// life returns the dates of a certificate in the given state: two years, as
// the cards of the NHS have.
func life(state directory.Certificate, now time.Time) (from, to time.Time) {
	const day, days = 24 * time.Hour, 730
	to = now.Add(days / 2 * day)
	if left, ok := state.ExpiresIn(); ok {
		to = now.Add(time.Duration(left) * day)
	}
	if state == "expired" {
		to = now.Add(-day)
	}
	from = to.Add(-days * day)
	if from.After(now) {
		from = now.Add(-day)
	}
	return from, to
}

// shown is how a card is listed, with what it is there to show.
func (d *Drawer) shown(ctx context.Context, l listing) web.VirtualCard {
	hint, refused := d.hint(ctx, l)
	return web.VirtualCard{Serial: l.card.Serial, Holder: holder(l.person), Hint: hint, Refused: refused}
}

func holder(p directory.Person) string {
	if p.Name.Display != "" {
		return p.Name.Display
	}
	return p.Name.Given + " " + p.Name.Family
}

func (d *Drawer) hint(ctx context.Context, l listing) (hint string, refused bool) {
	switch {
	case l.foreign:
		return "Card not trusted", true
	case !l.card.Registered:
		return "Card not registered", true
	case l.card.State != "active":
		return "Card " + string(l.card.State), true
	case l.card.Certificate == "expired" || l.card.Certificate == "revoked":
		return "Certificate " + string(l.card.Certificate), true
	case d.ended(ctx, l.card.Series):
		return "Card type stopped working", true
	case l.card.TriesLeft == 0:
		return "Passcode locked", true
	case l.person.Profile != idp.Verified:
		return "Profile " + string(l.person.Profile), true
	}
	if days, ok := l.card.Certificate.ExpiresIn(); ok {
		return "Certificate ends in " + strconv.Itoa(days) + " days", false
	}
	switch n := len(l.person.IDP(nil).Current(d.Now())); n {
	case 0:
		return "No role", false
	case 1:
		return "One role", false
	default:
		return strconv.Itoa(n) + " roles", false
	}
}

// ended says whether cards of a series are refused by now.
func (d *Drawer) ended(ctx context.Context, series int) bool {
	from, blocked, err := d.Registry.BlockedFrom(ctx, series)
	return err == nil && blocked && !d.Now().Before(from)
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
