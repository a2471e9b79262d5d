package idp

import (
	"context"
	"strings"
	"time"
	_ "time/tzdata" // days begin at midnight in London, wherever this runs
)

// Profile is how far a person's identity has been verified.
type Profile string

// The states of a profile. Only a verified one reaches every application.
const (
	Verified   Profile = "verified"
	Unverified Profile = "unverified" // only applications that accept it
	Restricted Profile = "restricted" // none, until verified again
	Closed     Profile = "closed"     // none
)

// Person is someone who cares for patients, as the registry knows them.
type Person struct {
	UID               string // 12 digits, never used again: the sub of every token
	Name              Name
	Email             string
	IdentityAssurance int // 0 to 3
	Profile           Profile
	Robot             bool              // a program works with this profile
	Until             Date              // the last day of that; empty is open
	Professional      map[string]string // claim name to number: gmc_id, nmc_id, ...
	Positions         []Position        // in the order of the registry
	Memberships       []Membership      // of organisations, beside any position

	// Holds are the authenticators that are the person's, as sessions call
	// them, cards included, and whether each may be used.
	Holds       map[string]bool
	SignedOutAt time.Time // what began then or before has ended; zero: never
}

// Name is a person's name in its parts.
type Name struct {
	Title, Given, Middle, Family, Display string
}

// Membership is a person's membership of an organisation beside
// any position there.
type Membership struct {
	OrgPersonID  string
	Organisation Organisation
	GNC          string
}

// Organisation is where people work.
type Organisation struct {
	Code string // ODS code
	Name string
}

// Position is work that a person is assigned to: a role at an organisation
// between two days.
type Position struct {
	ID           string // person_roleid
	OrgPersonID  string // person_orgid
	Organisation Organisation
	RoleCode     string // three codes joined by colons: S8000:G8000:R8000
	RoleName     string // three quoted names joined by colons
	Activities   []Coded
	AreasOfWork  []Coded
	Workgroups   []Coded
	From, To     Date // first and last day, both included; empty is open
}

// Coded is a code with its name.
type Coded struct {
	Code, Name string
}

// IsUID says whether s has the form of a uid: 12 digits.
func IsUID(s string) bool {
	return len(s) == 12 && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// Current returns the positions that p holds on the day of now, in the order
// of the registry.
func (p Person) Current(now time.Time) []Position {
	today := DateOf(now)
	var current []Position
	for _, pos := range p.Positions {
		if pos.From <= today && (pos.To == "" || today <= pos.To) {
			current = append(current, pos)
		}
	}
	return current
}

// Position returns the position called id if p holds it on the day of now.
func (p Person) Position(id string, now time.Time) (Position, bool) {
	for _, pos := range p.Current(now) {
		if pos.ID == id {
			return pos, true
		}
	}
	return Position{}, false
}

// Admit says whether p may use client c at all, whatever they proved: nil, or
// the refusal that the person is told. Who sees to a robot is never asked: after
// its last day its profile is as good as closed.
func (p Person) Admit(c Client, now time.Time) error {
	if p.Until != "" && p.Until < DateOf(now) {
		return ErrProfileClosed
	}
	switch p.Profile {
	case Verified:
		return nil
	case Unverified:
		if c.AcceptsUnverified {
			return nil
		}
		return ErrProfileUnverified
	case Restricted:
		return ErrProfileRestricted
	case Closed:
	}
	return ErrProfileClosed // and whatever nobody knows
}

// Stands says whether what p signed in to at that time, with that
// authenticator, is still worth something: p has not signed out of everything
// since, and may still use what they signed in with. Of an authenticator that
// is not named, by an older release, nobody can say, and it passes.
func (p Person) Stands(signedIn time.Time, authenticator string) bool {
	return (p.SignedOutAt.IsZero() || signedIn.After(p.SignedOutAt)) && (authenticator == "" || p.Holds[authenticator])
}

// EmailKey is an e-mail address as all its spellings have it: without the space
// around it and with small letters for those of ASCII. The schema's function
// email_key says the same. It is "" for none.
func EmailKey(email string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, strings.Trim(email, " \t\r\n"))
}

// Date is a day in London, as 2006-01-02, so that days compare as text.
type Date string

// DateOf returns the day in London at t.
func DateOf(t time.Time) Date { return Date(t.In(london).Format(time.DateOnly)) }

// InLondon returns t as clocks in London show it.
func InLondon(t time.Time) time.Time { return t.In(london) }

// Begins returns 00:00 of d in London: there is one on every day, because its
// clocks change at one o'clock.
func (d Date) Begins() (time.Time, error) {
	return time.ParseInLocation(time.DateOnly, string(d), london)
}

var london = mustLocation("Europe/London")

func mustLocation(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the zone is in the binary: see the import of time/tzdata
	}
	return loc
}

// People finds persons.
type People interface {
	// Person returns the person with that uid, or ErrNotFound. What another
	// server changed it may learn a second later.
	Person(ctx context.Context, uid string) (Person, error)

	// PersonNow is Person as things are at this instant.
	PersonNow(ctx context.Context, uid string) (Person, error)
}

// lag is how long a server may take to learn what another one changed, and the
// difference of their clocks, with room to spare.
const lag = 10 * time.Second

// Stood returns the person who signed in, and whether that is still worth
// something. Who signed in only just may have done so with what another server
// has added: nobody is turned away for that by what this one remembers.
func Stood(ctx context.Context, people People, uid string, signedIn, now time.Time, authenticator string) (Person, bool, error) {
	p, err := people.Person(ctx, uid)
	if err == nil && !p.Stands(signedIn, authenticator) && now.Sub(signedIn) < lag {
		p, err = people.PersonNow(ctx, uid)
	}
	return p, err == nil && p.Stands(signedIn, authenticator), err
}

// LastRoles remembers which position a person last used with a client.
type LastRoles interface {
	// LastRole returns the position's id, or "" if there is none.
	LastRole(ctx context.Context, uid, client string) (string, error)
	SaveLastRole(ctx context.Context, uid, client, position string) error
}
