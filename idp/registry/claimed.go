package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Choose notes what the person wants to add, and that they say that they alone
// control it.
func (s *Claims) Choose(ctx context.Context, browser string, way authenticators.Kind, alone bool) error {
	c, err := s.proved(ctx, browser)
	if err != nil {
		return err
	}
	if !alone {
		return ErrNotAlone
	}
	c.Way, c.Away = way, ""
	return s.keep(ctx, browser, c)
}

// SentAway notes the question with which the browser was sent to the person's
// organisation.
func (s *Claims) SentAway(ctx context.Context, browser, question string) error {
	c, err := s.chose(ctx, browser, authenticators.FederatedKind)
	if err != nil {
		return err
	}
	c.Away = question
	return s.keep(ctx, browser, c)
}

// chose is proved for what comes after the choice of that way.
func (s *Claims) chose(ctx context.Context, browser string, way authenticators.Kind) (Claim, error) {
	c, err := s.proved(ctx, browser)
	if err == nil && c.Way != way {
		err = ErrClaimGone
	}
	return c, err
}

// Claimant is whom a claim is of, once the code was shown.
type Claimant struct {
	Display, Email string
	Held           []authenticators.Authenticator
}

// Who returns whom the claim of a browser is of.
func (s *Claims) Who(ctx context.Context, browser string) (Claimant, error) {
	c, err := s.proved(ctx, browser)
	if err != nil {
		return Claimant{}, err
	}
	return s.who(ctx, c)
}

func (s *Claims) who(ctx context.Context, c Claim) (Claimant, error) {
	r, err := s.Keeper.Records(ctx, Touch{People: []string{c.Subject}})
	if err != nil {
		return Claimant{}, fmt.Errorf("who claims: %w", err)
	}
	p, err := c.of(&r)
	if err != nil {
		return Claimant{}, err
	}
	who := Claimant{Display: p.Name.Display, Email: p.Email}
	for _, a := range p.Authenticators {
		who.Held = append(who.Held, a.Held(p.UID))
	}
	return who, nil
}

// Enrolment is what the room of the way that was chosen may know.
func (s *Claims) Enrolment(ctx context.Context, browser string, way authenticators.Kind) (authenticators.Enrolment, error) {
	c, err := s.chose(ctx, browser, way)
	if err != nil {
		return authenticators.Enrolment{}, err
	}
	who, err := s.who(ctx, c)
	return authenticators.Enrolment{ID: "claim " + browser, Browser: browser, Subject: c.Subject, Email: who.Email, Display: who.Display, Held: who.Held}, err
}

// Bind gives the person what its room has proved, under a name of their own
// choice, and ends the claim. It is worth AAL2 at most, whatever its maker
// attests, and takes the place of nothing. Of two claims of one profile at once
// one adds what it has, and the other is ErrClaimBehind: its person is to look
// whether the first was theirs.
func (s *Claims) Bind(ctx context.Context, browser string, a authenticators.Authenticator, name string, o idp.Owner) error {
	name, ok := idp.NameOf(name)
	if !ok {
		return idp.ErrUnnamed
	}
	c, err := readClaim(s.Half.Take(ctx, browser, s.Now())) // once: no second answer of the same claim is judged
	if err != nil {
		return err
	}
	if !c.Proved || !c.Matched || c.Way != a.Kind || a.Subject != c.Subject {
		return ErrClaimGone
	}
	if a.Level > authenticators.AAL2 {
		a.Level = authenticators.AAL2
	}
	if a.Method == authenticators.FIDO2 || a.Method == authenticators.Apple {
		a.Method = authenticators.Passkey
	}
	a.ID, a.Name, a.State, a.AddedAt, a.SelfClaimed = rand.Text(), name, authenticators.Active, s.Now(), true
	err = s.Keeper.Change(ctx, Touch{People: []string{c.Subject}}, func(r *Records) (idp.Act, error) {
		p, err := c.of(r)
		if err != nil {
			return idp.Act{}, err
		}
		if !slices.Equal(idsOf(p), c.Held) {
			return idp.Act{}, ErrClaimBehind
		}
		p.Authenticators = append(p.Authenticators, directory.AuthenticatorOf(a))
		e := idp.Event{At: s.Now(), Kind: idp.AuthenticatorAdded, Request: o.Request, Subject: p.UID, Actor: p.UID,
			Authenticator: a.Called(), Method: string(a.Method), Level: int(a.Level), Reason: "self-claimed"}
		// Every contact route on file: the registry sends no texts.
		text, args := "mail.claimed", map[string]string{"name": name}
		if c.Made != nil {
			p.AddedAt, r.People[p.UID] = s.Now(), p
			r.Events = append(r.Events, idp.Event{At: s.Now(), Kind: PersonAdded, Request: o.Request, Subject: p.UID, Actor: p.UID, Reason: "self-created"})
			text, args["uid"] = "mail.registered", p.UID
		}
		r.Mails = append(r.Mails, idp.Mail{To: p.Email, Lang: o.Lang, Text: text, Args: args})
		return idp.Act{Event: e}, nil
	})
	if errors.Is(err, idp.ErrUnavailable) || errors.Is(err, idp.ErrTaken) {
		return errors.Join(err, s.keep(ctx, browser, c)) // nothing was added: they may try again, or choose something else
	}
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	s.forget(ctx, c)
	return nil
}
