package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// ErrEnrolment refuses a code that was never given, has been used or is too
// old: one reason for all.
const ErrEnrolment idp.Refusal = "the code of an invitation is wrong, used or too old"

// What wrong codes cost. A code has 60 bits: who guesses finds none, and is not
// to keep the registry busy either. The second limit is of all networks
// together, and high enough that no one of them can fill it.
var (
	EnrolLimit    = idp.Limit{Free: 10, First: time.Second, Longest: time.Minute, Life: time.Hour}
	EnrolAllLimit = idp.Limit{Free: 1000, First: time.Second, Longest: 5 * time.Second, Life: time.Hour}
)

// Enrolling lets people who were invited add what they were invited to: it is
// the other half of InviteAuthenticator. Who has the code is whom the
// registration authority is looking at; they need not be signed in.
type Enrolling struct {
	Keeper Keeper
	Codes  Enrolments
	Limits idp.Limits
	Now    func() time.Time
}

// Invited is what the code of an invitation stands for.
type Invited struct {
	Enrolment
	Display string // the person's name
	Email   string
	Inviter string // the name of who invited them; "" an operator
	Held    []authenticators.Authenticator
}

// Invited returns what a code stands for, or ErrEnrolment, and leaves the code
// as it is. Wrong codes are counted for the network that they come from.
func (s *Enrolling) Invited(ctx context.Context, code string, from netip.Prefix) (Invited, error) {
	each, all := idp.LimitKey{Authenticator: "enrolment", Network: from}, idp.LimitKey{Authenticator: "enrolment"}
	if err := s.Limits.Attempt(ctx, each, EnrolLimit, s.Now()); err != nil {
		return Invited{}, fmt.Errorf("code of an invitation: %w", err)
	}
	if err := s.Limits.Attempt(ctx, all, EnrolAllLimit, s.Now()); err != nil {
		return Invited{}, fmt.Errorf("codes of invitations: %w", err)
	}
	e, err := s.Codes.FindEnrolment(ctx, HashCode(code), s.Now())
	if errors.Is(err, idp.ErrNotFound) {
		return Invited{}, ErrEnrolment
	}
	if err != nil {
		return Invited{}, fmt.Errorf("code of an invitation: %w", err)
	}
	if err := errors.Join(s.Limits.Clear(ctx, each), s.Limits.Clear(ctx, all)); err != nil {
		return Invited{}, err
	}
	return s.of(ctx, e)
}

// of returns an invitation with who they are.
func (s *Enrolling) of(ctx context.Context, e Enrolment) (Invited, error) {
	touch := Touch{People: []string{e.UID}}
	if e.By != "" && e.By != e.UID {
		touch.People = append(touch.People, e.By)
	}
	r, err := s.Keeper.Records(ctx, touch)
	if err != nil {
		return Invited{}, fmt.Errorf("who is invited: %w", err)
	}
	p, err := s.may(&r, e)
	if err != nil {
		return Invited{}, err
	}
	i := Invited{Enrolment: e, Display: p.Name.Display, Email: p.Email}
	for _, a := range p.Authenticators {
		i.Held = append(i.Held, a.Held(p.UID))
	}
	if by := r.People[e.By]; by != nil {
		i.Inviter = by.Name.Display
	}
	return i, nil
}

// may returns whom an invitation is for, if they may still have what it is to:
// what was so when they were invited may have changed since.
func (*Enrolling) may(r *Records, e Enrolment) (*Person, error) {
	p, err := r.person(e.UID)
	if err != nil {
		return nil, err
	}
	if p.Robot.Owner != "" {
		return nil, ErrRobot
	}
	if err := p.fit(); err != nil {
		return nil, err
	}
	if len(p.Authenticators) >= maxAuthenticators {
		return nil, ErrMany
	}
	return p, nil
}

// Bind gives the person who was invited the authenticator that its room has
// proved, under a name of their own choice, and uses up the code: in one
// transaction, so that a code is lost with nothing, and of two browsers with one
// code one adds what it has. It is worth what its maker attests, and the
// registration authority has seen whose it is.
func (s *Enrolling) Bind(ctx context.Context, i Invited, a authenticators.Authenticator, name string, o idp.Owner) (authenticators.Authenticator, error) {
	name, ok := idp.NameOf(name)
	if !ok {
		return a, idp.ErrUnnamed
	}
	if a.Subject != i.UID || a.Kind != authenticators.KeyKind {
		return a, authenticators.ErrAnswer
	}
	a.ID, a.Name, a.State, a.AddedAt, a.SelfClaimed = rand.Text(), name, authenticators.Active, s.Now(), false
	err := s.Keeper.Change(ctx, Touch{People: []string{i.UID}}, func(r *Records) (idp.Act, error) {
		p, err := s.may(r, i.Enrolment)
		if err != nil {
			return idp.Act{}, err
		}
		p.Authenticators = append(p.Authenticators, directory.AuthenticatorOf(a))
		r.Spent = i.Hash
		if p.Email != "" {
			r.Mails = append(r.Mails, idp.Mail{To: p.Email, Lang: o.Lang, Text: "mail.added", Args: map[string]string{"name": name}})
		}
		return idp.Act{Event: idp.Event{At: s.Now(), Kind: idp.AuthenticatorAdded, Request: o.Request, Subject: p.UID, Actor: p.UID,
			Authenticator: a.Called(), Method: string(a.Method), Level: int(a.Level), Reason: join("invited by "+by(i.By), i.How)}}, nil
	})
	if errors.Is(err, idp.ErrNotFound) {
		err = ErrEnrolment // somebody was faster, or it was too late
	}
	if err != nil {
		return a, fmt.Errorf("add by invitation: %w", err)
	}
	return a, nil
}

// by is how the journal calls who invited somebody.
func by(uid string) string {
	if uid == "" {
		return "an operator"
	}
	return uid
}
