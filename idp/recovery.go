package idp

import (
	"context"
	"errors"
	"fmt"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Recovery gives a new password to somebody who has forgotten theirs: who reads
// their mail and has the app that shows their codes. It takes the place of one
// factor and never of both.
type Recovery struct {
	Contacts Contacts
	Holdings authenticators.Held
	Mailed   *MailCodes
	Accounts *Accounts
}

// passwordReset is the purpose of its codes.
const passwordReset = "password"

// Ask sends a code to the person whose e-mail that is, if they have a password.
// What it does and says is the same if there is no such person. The code is good
// in that browser alone, so that a stranger cannot use it up.
func (rs *Recovery) Ask(ctx context.Context, email, browser, lang string) error {
	email, err := ParseEmail(email)
	if err != nil {
		return err
	}
	p, there, err := rs.whose(ctx, email)
	if err != nil {
		return err
	}
	if !there {
		return rs.Mailed.Pretend(ctx, passwordReset+" "+browser, p.UID, email, lang)
	}
	return rs.Mailed.Send(ctx, passwordReset+" "+browser, p.UID, p.Email, lang)
}

// Reset lets change set the new password of the person whose e-mail that is, if
// mailed is the code that was sent to them.
func (rs *Recovery) Reset(ctx context.Context, email, browser, mailed string, change func(Owner) error) error {
	email, err := ParseEmail(email)
	if err != nil {
		return err
	}
	p, _, err := rs.whose(ctx, email)
	if err != nil {
		return err
	}
	return rs.Mailed.Check(ctx, passwordReset+" "+browser, p.UID, mailed, func(address string) error {
		if EmailKey(address) != EmailKey(p.Email) {
			return ErrMailCode // it was sent before the address was changed
		}
		return change(Owner{Person: Person{UID: p.UID, Name: p.Name, Email: p.Email, Profile: p.Profile, Robot: p.Robot}})
	})
}

// whose returns the person whose e-mail that is, and whether they have a
// password. Of nobody it returns one with a name that stands for the address.
func (rs *Recovery) whose(ctx context.Context, email string) (Contact, bool, error) {
	p, err := rs.Contacts.PersonByEmail(ctx, email)
	if errors.Is(err, ErrNotFound) {
		p, err = Contact{UID: "nobody " + Hash(EmailKey(email))}, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("person by e-mail: %w", err)
	}
	a, err := rs.Holdings.ByHandle(ctx, authenticators.CodeKind, p.UID)
	if errors.Is(err, authenticators.ErrNotHeld) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("password of %s: %w", p.UID, err)
	}
	return p, a.State == authenticators.Active && p.Email != "", nil
}
