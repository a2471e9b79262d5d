package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lanyard-id/lanyard/authenticators"
)

// FreshFor is how long a sign-in is good for changing what one signs in with.
const FreshFor = 20 * time.Minute

// Refusals of what a person may not do to their own account as they are signed
// in now.
const (
	ErrStale   Refusal = "a fresh sign-in is needed"
	ErrTooLow  Refusal = "a stronger sign-in is needed"
	ErrUnnamed Refusal = "the authenticator has no name, or one that is too long"
	ErrTooMany Refusal = "the person holds as many authenticators as one may"
)

// mostHeld is how many authenticators a person may hold beside their cards.
const mostHeld = 20

// maxName is how long the name of an authenticator may be.
const maxName = 60

// MayAdd says whether whoever is signed in by s may add an authenticator of
// that level: nil, ErrStale or ErrTooLow. A stolen session must not become an
// authenticator of its thief's, and nobody lifts themselves above how they
// signed in.
func (s Session) MayAdd(level authenticators.Level, now time.Time) error {
	return s.proves(level, now)
}

// MayRemove says the same of removing one: who signed in with less could
// otherwise take the better one away.
func (s Session) MayRemove(level authenticators.Level, now time.Time) error {
	return s.proves(level, now)
}

// MayChangeEmail says the same of the sign-in name.
func (s Session) MayChangeEmail(now time.Time) error { return s.proves(authenticators.AAL3, now) }

func (s Session) proves(level authenticators.Level, now time.Time) error {
	switch {
	case s.Level < level:
		return ErrTooLow
	case s.Of != "": // nobody was asked for anything when it began: a program at the desk can begin one
		return ErrStale
	case now.Sub(s.AuthTime) > FreshFor || s.AuthTime.After(now.Add(clocksApart)):
		return ErrStale
	}
	return nil
}

// Accounts lets people see and change what they sign in with, and end what
// they are signed in to. Every change is in the journal and told to its person
// by mail in one transaction.
type Accounts struct {
	Holdings Holdings
	Contacts Contacts
	SignOuts SignOuts
	Sessions SessionStore
	Own      OwnSessions
	Journal  Journal
	Fences   Fences
	Now      func() time.Time
}

// Owner is whose account it is, and by what they are signed in.
type Owner struct {
	Person  Person
	Session Session
	Request string // the request ID, for the journal
	Lang    string // of the mails
}

// act is what goes with a change.
func (as *Accounts) act(o Owner, kind Kind, authenticator, mail string, args map[string]string) Act {
	a := Act{Event: Event{At: as.Now(), Kind: kind, Request: o.Request, Subject: o.Person.UID, Client: AccountClient,
		Session: o.Session.ID, Authenticator: authenticator}}
	if o.Person.Email != "" {
		a.Mails = []Mail{{To: o.Person.Email, Lang: o.Lang, Text: mail, Args: args}}
	}
	return a
}

// Held returns what the person holds beside their cards, the oldest first.
func (as *Accounts) Held(ctx context.Context, o Owner) ([]authenticators.Authenticator, error) {
	held, err := as.Holdings.HeldBy(ctx, o.Person.UID)
	if err != nil {
		return nil, fmt.Errorf("authenticators of %s: %w", o.Person.UID, err)
	}
	return held, nil
}

// One returns the authenticator called id if the person holds it, and
// ErrNotFound if not.
func (as *Accounts) One(ctx context.Context, o Owner, id string) (authenticators.Authenticator, error) {
	held, err := as.Held(ctx, o)
	if err != nil {
		return authenticators.Authenticator{}, err
	}
	for _, a := range held {
		if a.ID == id {
			return a, nil
		}
	}
	return authenticators.Authenticator{}, ErrNotFound
}

// Add gives the person an authenticator that its room has proved, under a name
// of their own choice.
func (as *Accounts) Add(ctx context.Context, o Owner, a authenticators.Authenticator, name string) (authenticators.Authenticator, error) {
	if err := o.Session.MayAdd(a.Level, as.Now()); err != nil {
		return a, err
	}
	name, ok := NameOf(name)
	if !ok {
		return a, ErrUnnamed
	}
	held, err := as.Held(ctx, o)
	if err != nil {
		return a, err
	}
	if len(held) >= mostHeld {
		return a, ErrTooMany
	}
	a.ID, a.Subject, a.Name, a.State, a.AddedAt = random(16), o.Person.UID, name, authenticators.Active, as.Now()
	act := as.act(o, AuthenticatorAdded, a.Called(), "mail.added", map[string]string{"name": name})
	act.Event.Method, act.Event.Level = string(a.Method), int(a.Level)
	if err := as.Holdings.AddAuthenticator(ctx, a, act); err != nil {
		return a, fmt.Errorf("add authenticator: %w", err)
	}
	return a, nil
}

// Rename gives an authenticator another name. It wants what removing wants: by
// names that were swapped their person would remove the wrong one.
func (as *Accounts) Rename(ctx context.Context, o Owner, id, name string) error {
	a, err := as.One(ctx, o, id)
	if err != nil {
		return err
	}
	if err := o.Session.MayRemove(a.Level, as.Now()); err != nil {
		return err
	}
	name, ok := NameOf(name)
	if !ok {
		return ErrUnnamed
	}
	act := as.act(o, AuthenticatorRenamed, a.Called(), "mail.renamed", map[string]string{"name": a.Name, "new": name})
	if err := as.Holdings.RenameAuthenticator(ctx, a.Subject, a.ID, name, act); err != nil {
		return fmt.Errorf("rename authenticator: %w", err)
	}
	return nil
}

// Remove takes an authenticator away from its person.
func (as *Accounts) Remove(ctx context.Context, o Owner, id string) error {
	a, err := as.One(ctx, o, id)
	if err != nil {
		return err
	}
	if a.State != authenticators.Active {
		return authenticators.ErrSuspended // the registration authority alone lets go of it
	}
	if err := o.Session.MayRemove(a.Level, as.Now()); err != nil {
		return err
	}
	act := as.act(o, AuthenticatorRemoved, a.Called(), "mail.removed", map[string]string{"name": a.Name})
	if err := as.Holdings.RemoveAuthenticator(ctx, o.Person.UID, id, act); err != nil {
		return fmt.Errorf("remove authenticator: %w", err)
	}
	return nil
}

// Lose stops an authenticator that its person has lost, at once and whatever
// they signed in with: what it signed in to ends too. The registration
// authority alone restores it.
func (as *Accounts) Lose(ctx context.Context, o Owner, id string) error {
	for _, c := range o.Person.Cards() {
		if c.Serial == id {
			return as.loseCard(ctx, o, c)
		}
	}
	a, err := as.One(ctx, o, id)
	if err != nil {
		return err
	}
	if a.State == authenticators.Suspended {
		return nil
	}
	act := as.act(o, AuthenticatorSuspended, a.Called(), "mail.lost", map[string]string{"name": a.Name})
	if err := as.Holdings.StopAuthenticator(ctx, a.Subject, a.ID, act); err != nil {
		return fmt.Errorf("suspend authenticator: %w", err)
	}
	return nil
}

func (as *Accounts) loseCard(ctx context.Context, o Owner, c HeldCard) error {
	if !c.Active {
		return nil
	}
	act := as.act(o, AuthenticatorSuspended, "card:"+c.Serial, "mail.lost", map[string]string{"name": c.Serial})
	if err := as.Holdings.StopCard(ctx, o.Person.UID, c.Serial, act); err != nil {
		return fmt.Errorf("suspend card: %w", err)
	}
	return nil
}

// SetPassword keeps an authenticator whose room has changed its password. The
// one-time code that was shown for it is used up by that: use and once are what
// it leaves, as in evidence.
func (as *Accounts) SetPassword(ctx context.Context, o Owner, a authenticators.Authenticator, use authenticators.Use, once string) error {
	if a.Subject != o.Person.UID {
		return ErrNotFound
	}
	act := as.act(o, PasswordChanged, a.Called(), "mail.password", nil)
	act.Event.Use, act.Fences = &use, []Fence{{Kind: ChallengeFence, Hash: once}}
	err := as.Holdings.KeepRecord(ctx, a.Subject, a.ID, a.Record, act)
	if errors.Is(err, ErrUsed) {
		return authenticators.ErrAnswer
	}
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

// About is what a password of the owner may not be made of.
func (o Owner) About() []string {
	n := o.Person.Name
	return []string{n.Given, n.Middle, n.Family, n.Display, o.Person.Email}
}

// SetEmail gives the person another sign-in name, and tells the old address.
// That the new one is theirs the caller has seen proved.
func (as *Accounts) SetEmail(ctx context.Context, o Owner, email string) error {
	if err := o.Session.MayChangeEmail(as.Now()); err != nil {
		return err
	}
	act := as.act(o, EmailChanged, "", "mail.email", map[string]string{"email": email})
	if err := as.Contacts.SaveEmail(ctx, o.Person.UID, email, act); err != nil {
		return fmt.Errorf("save e-mail: %w", err)
	}
	return nil
}

// Open returns what the person is signed in to.
func (as *Accounts) Open(ctx context.Context, o Owner) ([]OwnSession, error) {
	all, err := as.Own.SessionsOf(ctx, o.Person.UID, as.Now())
	if err != nil {
		return nil, fmt.Errorf("sessions of %s: %w", o.Person.UID, err)
	}
	var open []OwnSession
	for _, s := range all {
		ended, err := as.ended(ctx, s.Session)
		if err != nil {
			return nil, err
		}
		if !ended && s.Subject == o.Person.UID && o.Person.Stands(s.AuthTime, s.Authenticator) {
			open = append(open, s)
		}
	}
	return open, nil
}

// ended says whether s has ended, whatever Redis says. One of the old service ends
// with what came of it, by their sid, and with the card's certificate or series.
func (as *Accounts) ended(ctx context.Context, s Session) (bool, error) {
	over := []Fence{{Kind: SessionFence, Hash: s.Key}}
	if s.Legacy != nil {
		if !s.Ends.IsZero() && !as.Now().Before(s.Ends) {
			return true, nil
		}
		over = s.Over()
	}
	for _, f := range over {
		stands, err := as.Fences.Stands(ctx, f)
		if err != nil {
			return false, fmt.Errorf("fence of session: %w", err)
		}
		if stands {
			return true, nil
		}
	}
	return false, nil
}

// End ends one of the person's sessions, by its sid. ErrNotFound if it is not
// one of theirs, or over.
func (as *Accounts) End(ctx context.Context, o Owner, sid string) error {
	open, err := as.Open(ctx, o)
	if err != nil {
		return err
	}
	for _, s := range open {
		if s.ID != sid {
			continue
		}
		event := Event{At: as.Now(), Kind: SessionEnded, Request: o.Request, Subject: o.Person.UID, Client: AccountClient, Session: s.ID}
		// The journal first: Redis may bring back what it has forgotten to end.
		if err := as.Journal.Record(ctx, event, s.Over()...); err != nil {
			return fmt.Errorf("record end of session: %w", err)
		}
		return as.Sessions.EndSession(ctx, s.Key)
	}
	return ErrNotFound
}

// EndAll ends everything that the person is signed in to, this session too.
func (as *Accounts) EndAll(ctx context.Context, o Owner) error {
	act := as.act(o, SignedOutAll, "", "mail.everywhere", nil)
	if err := as.SignOuts.SignOut(ctx, o.Person.UID, as.Now(), act); err != nil {
		return fmt.Errorf("sign out everywhere: %w", err)
	}
	open, err := as.Own.SessionsOf(ctx, o.Person.UID, as.Now())
	for _, s := range open {
		err = errors.Join(err, as.Sessions.EndSession(ctx, s.Key))
	}
	if err != nil {
		return fmt.Errorf("end sessions of %s: %w", o.Person.UID, err) // they are worth nothing by now
	}
	return nil
}

// Seen notes an act of the person, so that their session does not idle out
// under their hands.
func (as *Accounts) Seen(ctx context.Context, s Session) error {
	s.LastAct = as.Now()
	err := as.Sessions.UpdateSession(ctx, s)
	if errors.Is(err, ErrNotFound) {
		return ErrLoginRequired
	}
	return err
}

// HeldCard is a card as its person sees it.
type HeldCard struct {
	Serial string
	Active bool
}

// Cards are the cards of p that the registry knows, by their serial numbers.
func (p Person) Cards() []HeldCard {
	var cards []HeldCard
	for name, active := range p.Holds {
		if serial, ok := strings.CutPrefix(name, "card:"); ok {
			cards = append(cards, HeldCard{serial, active})
		}
	}
	slices.SortFunc(cards, func(a, b HeldCard) int { return strings.Compare(a.Serial, b.Serial) })
	return cards
}

// holdsKind says whether p holds an authenticator of that kind.
func (p Person) holdsKind(kind authenticators.Kind) bool {
	for name := range p.Holds {
		if strings.HasPrefix(name, string(kind)+":") {
			return true
		}
	}
	return false
}

// NameOf returns a name as it is shown in a list, and whether it can be: it has
// a letter or a digit, and nothing that is not seen or turns text around.
func NameOf(name string) (string, bool) {
	name = strings.TrimSpace(name)
	if len(name) > 4*maxName || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) {
		return "", false
	}
	for _, r := range name {
		if !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) {
			return "", false
		}
	}
	return name, strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// AccountClient is the client that stands for this service's own pages: people
// sign in to them as to any application, by the same rules.
const AccountClient = "lanyard-account"

// RegistrationClient stands for the pages of the registration authority, for
// which everybody signs in at the highest level.
const RegistrationClient = "lanyard-ra"

// IsOwn says whether a client stands for pages of this service.
func IsOwn(id string) bool { return id == AccountClient || id == RegistrationClient }

// WithOwn returns clients, and before them this service's own pages, which are
// at origin. No other client can take their name.
func WithOwn(clients Clients, origin string) Clients { return withOwn{clients, origin} }

type withOwn struct {
	Clients
	origin string
}

// Client implements Clients.
func (w withOwn) Client(ctx context.Context, id string) (Client, error) {
	switch id {
	case AccountClient:
		return Client{ID: AccountClient, AuthMethod: NoAuth, RedirectURIs: []string{w.origin + "/account"},
			ACRDefault: AAL2OrAAL3Any, MinLevel: authenticators.AAL2, AcceptsUnverified: true}, nil
	case RegistrationClient:
		return Client{ID: RegistrationClient, AuthMethod: NoAuth, RedirectURIs: []string{w.origin + "/ra"},
			ACRDefault: AAL3Any, MinLevel: authenticators.AAL3}, nil
	}
	return w.Clients.Client(ctx, id)
}
