package registry

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// maxAuthenticators is how many a person may hold beside their cards.
const maxAuthenticators = 20

// authenticator returns one that a person holds.
func (r *Records) authenticator(uid, id string) (*Person, *directory.Authenticator, error) {
	p, err := r.person(uid)
	if err != nil {
		return nil, nil, err
	}
	for i := range p.Authenticators {
		if p.Authenticators[i].ID == id {
			return p, &p.Authenticators[i], nil
		}
	}
	return nil, nil, ErrNoAuthenticator
}

// onHeld checks what the changes of one authenticator have.
func onHeld(uid, id, reason string) error {
	var f checks
	f.uid("uid", uid)
	f.id("id", id)
	f.reason(reason, true)
	return f.err()
}

// held writes down what became of an authenticator, and tells its person.
func (c *Case) held(r *Records, p *Person, a directory.Authenticator, mail string) {
	c.tell(r, p, mail, map[string]string{"name": a.Name})
	c.Done.ID, c.Done.Person = a.ID, p
	c.journal(r, idp.Event{Subject: p.UID, Authenticator: a.Held(p.UID).Called()})
}

// SuspendAuthenticator stops an authenticator until it is resumed.
type SuspendAuthenticator struct {
	UID    string `json:"uid"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (SuspendAuthenticator) Kind() Kind { return idp.AuthenticatorSuspended }

func (ch SuspendAuthenticator) words() string          { return ch.Reason }
func (ch SuspendAuthenticator) check() error           { return onHeld(ch.UID, ch.ID, ch.Reason) }
func (ch SuspendAuthenticator) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch SuspendAuthenticator) about(r *Records) About { return r.of(ch.UID) }

func (ch SuspendAuthenticator) make(r *Records, c *Case) error {
	p, a, err := r.authenticator(ch.UID, ch.ID)
	if err != nil {
		return err
	}
	if a.State != authenticators.Active {
		return ErrCardState
	}
	a.State = authenticators.Suspended
	c.held(r, p, *a, "mail.lost")
	return nil
}

// ResumeAuthenticator lets an authenticator be used again.
type ResumeAuthenticator struct {
	UID    string `json:"uid"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (ResumeAuthenticator) Kind() Kind { return AuthenticatorBack }

func (ch ResumeAuthenticator) words() string          { return ch.Reason }
func (ch ResumeAuthenticator) check() error           { return onHeld(ch.UID, ch.ID, ch.Reason) }
func (ch ResumeAuthenticator) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch ResumeAuthenticator) about(r *Records) About { return r.of(ch.UID) }

func (ch ResumeAuthenticator) make(r *Records, c *Case) error {
	p, a, err := r.authenticator(ch.UID, ch.ID)
	if err != nil {
		return err
	}
	if a.State == authenticators.Active {
		return ErrCardState
	}
	if p.Profile == idp.Restricted {
		return ErrRestricted
	}
	if a.Level >= int(authenticators.AAL3) && p.Profile != idp.Verified {
		return ErrUnverified
	}
	a.State = authenticators.Active
	c.held(r, p, *a, "mail.back")
	return nil
}

// RemoveAuthenticator takes an authenticator away from its person.
type RemoveAuthenticator struct {
	UID    string `json:"uid"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (RemoveAuthenticator) Kind() Kind { return idp.AuthenticatorRemoved }

func (ch RemoveAuthenticator) words() string          { return ch.Reason }
func (ch RemoveAuthenticator) check() error           { return onHeld(ch.UID, ch.ID, ch.Reason) }
func (ch RemoveAuthenticator) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch RemoveAuthenticator) about(r *Records) About { return r.of(ch.UID) }

func (ch RemoveAuthenticator) make(r *Records, c *Case) error {
	p, found, err := r.authenticator(ch.UID, ch.ID)
	if err != nil {
		return err
	}
	a := *found
	p.Authenticators = slices.DeleteFunc(p.Authenticators, func(other directory.Authenticator) bool { return other.ID == a.ID })
	c.held(r, p, a, "mail.removed")
	return nil
}

// InviteAuthenticator lets a person add a security key or Windows Hello while
// somebody of the registration authority is with them, in person or by video:
// with a code that works once, for a quarter of an hour.
type InviteAuthenticator struct {
	UID   string        `json:"uid"`
	Check IdentityCheck `json:"check"`
}

// InviteLife is how long the code of an invitation works.
const InviteLife = 15 * time.Minute

// Kind implements Change.
func (InviteAuthenticator) Kind() Kind { return AuthenticatorCode }

func (ch InviteAuthenticator) words() string { return ch.Check.written() }

func (ch InviteAuthenticator) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.identity("check", ch.Check)
	if ch.Check.How != InPerson && ch.Check.How != ByVideo {
		f.add("check.how", Unknown) // somebody has to see who it is
	}
	if ch.Check.By == ch.UID {
		f.add("check.by", Unknown)
	}
	return f.err()
}

func (ch InviteAuthenticator) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch InviteAuthenticator) about(r *Records) About { return r.of(ch.UID) }

func (ch InviteAuthenticator) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if p.Robot.Owner != "" {
		return ErrRobot
	}
	if err := p.fit(); err != nil {
		return err
	}
	if len(p.Authenticators) >= maxAuthenticators {
		return ErrMany
	}
	c.Done.Secret, c.Done.Until = newCode(), c.Now.Add(InviteLife)
	r.Codes = append(r.Codes, Enrolment{Hash: HashCode(c.Done.Secret), UID: p.UID, By: c.Actor.Person.UID,
		How: string(ch.Check.How), Until: c.Done.Until})
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID})
	return nil
}

// letters are those that are not taken for one another.
const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// newCode returns 60 random bits that a person can type: XXXX-XXXX-XXXX.
func newCode() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails: crypto/rand
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return string(b[:4]) + "-" + string(b[4:8]) + "-" + string(b[8:])
}

// HashCode returns the hash under which the code of an enrolment is kept,
// however somebody typed it.
func HashCode(code string) string {
	if len(code) > longestCode {
		return ""
	}
	return idp.Hash(SpellCode(code))
}

// longestCode bounds what somebody may type for a code.
const longestCode = 64

// SpellCode returns the code of an enrolment as it was made, without its
// hyphens, however somebody typed it: small letters, spaces, and letters for the
// digits that look like them. Of what is too long to be one it is "".
func SpellCode(code string) string {
	if len(code) > longestCode {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '-', '.', '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u00a0':
			return -1
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return r
	}, strings.ToUpper(code))
}

// LiftLock forgets the wrong tries at an authenticator that is locked by them.
type LiftLock struct {
	UID           string              `json:"uid"`
	Authenticator authenticators.Kind `json:"authenticator"` // totp: the others are not counted
	Reason        string              `json:"reason"`
}

// Kind implements Change.
func (LiftLock) Kind() Kind { return LockLifted }

func (ch LiftLock) words() string { return ch.Reason }

func (ch LiftLock) check() error {
	var f checks
	f.uid("uid", ch.UID)
	if ch.Authenticator != authenticators.CodeKind {
		f.add("authenticator", Unknown)
	}
	f.reason(ch.Reason, true)
	return f.err()
}

func (ch LiftLock) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch LiftLock) about(r *Records) About { return r.of(ch.UID) }

func (ch LiftLock) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if p.Profile == idp.Restricted {
		return ErrRestricted
	}
	i := slices.IndexFunc(p.Authenticators, func(a directory.Authenticator) bool { return a.Kind == ch.Authenticator })
	if i < 0 {
		return ErrNoAuthenticator
	}
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID, Authenticator: p.Authenticators[i].Held(p.UID).Called()})
	return nil
}

// finish forgets the tries once the journal has it.
func (ch LiftLock) finish(ctx context.Context, s *Service, _ *Case) error {
	if err := s.Limits.Clear(ctx, idp.LimitKey{Account: ch.UID, Authenticator: string(ch.Authenticator)}); err != nil {
		return fmt.Errorf("lift lock of %s: %w", ch.UID, err)
	}
	return nil
}
