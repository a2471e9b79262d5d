package registry

import (
	"maps"
	"slices"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// transition is one way from a state of a profile to another.
type transition struct{ from, to idp.Profile }

// transitions are all that there are. A closed profile comes back restricted:
// whoever it is has to be verified again.
var transitions = map[transition]Kind{
	{idp.Unverified, idp.Verified}:   PersonVerified,
	{idp.Restricted, idp.Verified}:   PersonVerified,
	{idp.Verified, idp.Restricted}:   PersonRestricted,
	{idp.Unverified, idp.Restricted}: PersonRestricted,
	{idp.Verified, idp.Closed}:       PersonClosed,
	{idp.Unverified, idp.Closed}:     PersonClosed,
	{idp.Restricted, idp.Closed}:     PersonClosed,
	{idp.Closed, idp.Restricted}:     PersonReopened,
}

// become gives a person another profile, if that kind of change may.
func (p *Person) become(to idp.Profile, kind Kind) error {
	if transitions[transition{p.Profile, to}] != kind {
		return ErrProfileState
	}
	p.Profile = to
	return nil
}

// VerifyPerson writes down that the identity of a person was checked.
type VerifyPerson struct {
	UID       string        `json:"uid"`
	Check     IdentityCheck `json:"check"`
	Confirmed bool          `json:"confirmed"` // those that are alike are other people, and what they bound themself is theirs
}

// Kind implements Change.
func (VerifyPerson) Kind() Kind { return PersonVerified }

func (ch VerifyPerson) words() string { return ch.Check.written() }

func (ch VerifyPerson) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.identity("check", ch.Check)
	if ch.Check.By == ch.UID {
		f.add("check.by", Unknown) // nobody checks who they are themself
	}
	return f.err()
}

func (ch VerifyPerson) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch VerifyPerson) about(r *Records) About { return r.of(ch.UID) }

func (ch VerifyPerson) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if p.Robot.Owner != "" {
		return ErrRobot
	}
	if err := p.become(idp.Verified, PersonVerified); err != nil {
		return err
	}
	p.IdentityAssurance = ch.Check.Assurance
	c.warnAlike(ch.Confirmed)
	// Whoever made the profile may be somebody else than stands at the desk.
	for _, a := range p.Authenticators {
		if a.SelfClaimed {
			c.warn(Warning{Code: WarnSelfClaimed, UID: p.UID, Args: []string{a.Name}, Confirm: !ch.Confirmed})
		}
	}
	if ch.Check.Assurance < 3 {
		c.warn(Warning{Code: WarnBelowLevel3, UID: p.UID})
	}
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID, Level: ch.Check.Assurance})
	return nil
}

// stopped checks the two things that all changes of a profile for a reason have.
func stopped(uid, reason string) error {
	var f checks
	f.uid("uid", uid)
	f.reason(reason, true)
	return f.err()
}

// RestrictPerson keeps a person from everything until their identity is
// verified again.
type RestrictPerson struct {
	UID    string `json:"uid"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (RestrictPerson) Kind() Kind { return PersonRestricted }

func (ch RestrictPerson) words() string          { return ch.Reason }
func (ch RestrictPerson) check() error           { return stopped(ch.UID, ch.Reason) }
func (ch RestrictPerson) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch RestrictPerson) about(r *Records) About { return r.of(ch.UID) }

func (ch RestrictPerson) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if err := p.become(idp.Restricted, PersonRestricted); err != nil {
		return err
	}
	p.SignedOutAt = c.Now
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID})
	return nil
}

// ClosePerson ends everything that a person holds.
type ClosePerson struct {
	UID    string `json:"uid"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (ClosePerson) Kind() Kind { return PersonClosed }

func (ch ClosePerson) words() string  { return ch.Reason }
func (ch ClosePerson) check() error   { return stopped(ch.UID, ch.Reason) }
func (ch ClosePerson) touches() Touch { return Touch{People: []string{ch.UID}} }

// about: what ends ends everywhere where they work.
func (ch ClosePerson) about(r *Records) About {
	return About{People: []string{ch.UID}, All: r.places(ch.UID), Gives: r.authorities(ch.UID)}
}

// authorities are those that people hold, or will.
func (r *Records) authorities(uids ...string) []Authority {
	var all []Authority
	for _, uid := range uids {
		if p := r.People[uid]; p != nil {
			for _, h := range p.held(r.Today, true) {
				all = append(all, h.Authority)
			}
		}
	}
	return all
}

func (ch ClosePerson) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	if err := p.close(c); err != nil {
		return err
	}
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID})
	return nil
}

// close ends everything that a person holds.
func (p *Person) close(c *Case) error {
	if err := p.become(idp.Closed, PersonClosed); err != nil {
		return err
	}
	p.end("", idp.DateOf(c.Now))
	for i := range p.Cards {
		p.Cards[i].State = revoked
	}
	p.Authenticators = nil
	p.SignedOutAt = c.Now
	return nil
}

// end ends the positions at an organisation ("": all) with a day, and returns
// their ids. Those that would begin later are taken away.
func (p *Person) end(organisation string, day idp.Date) []string {
	var ended []string
	p.Positions = slices.DeleteFunc(p.Positions, func(pos directory.Position) bool {
		if organisation != "" && pos.Organisation != organisation || pos.To != "" && pos.To <= day {
			return false
		}
		ended = append(ended, pos.ID)
		return pos.From > day
	})
	for i := range p.Positions {
		if slices.Contains(ended, p.Positions[i].ID) {
			p.Positions[i].To = day
		}
	}
	return ended
}

// ReopenPerson makes a closed profile a restricted one.
type ReopenPerson struct {
	UID    string `json:"uid"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (ReopenPerson) Kind() Kind { return PersonReopened }

func (ch ReopenPerson) words() string          { return ch.Reason }
func (ch ReopenPerson) check() error           { return stopped(ch.UID, ch.Reason) }
func (ch ReopenPerson) touches() Touch         { return Touch{People: []string{ch.UID}} }
func (ch ReopenPerson) about(r *Records) About { return r.of(ch.UID) }

func (ch ReopenPerson) make(r *Records, c *Case) error {
	p, err := r.anybody(ch.UID)
	if err != nil {
		return err
	}
	if p.Robot.Owner != "" {
		return ErrRobot // it would have to be verified again, and nobody can
	}
	if err := p.become(idp.Restricted, PersonReopened); err != nil {
		return err
	}
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID})
	return nil
}

// MergePeople moves what a duplicate holds to the person whose duplicate they
// are, and closes the duplicate.
type MergePeople struct {
	Duplicate string `json:"duplicate"` // uid
	Into      string `json:"into"`      // uid of who stays
	Reason    string `json:"reason"`
}

// Kind implements Change.
func (MergePeople) Kind() Kind { return PeopleMerged }

func (ch MergePeople) words() string { return ch.Reason }

func (ch MergePeople) check() error {
	var f checks
	f.uid("duplicate", ch.Duplicate)
	f.uid("into", ch.Into)
	if ch.Duplicate == ch.Into {
		f.add("into", Twice)
	}
	f.reason(ch.Reason, true)
	return f.err()
}

func (ch MergePeople) touches() Touch { return Touch{People: []string{ch.Duplicate, ch.Into}} }

func (ch MergePeople) about(r *Records) About {
	return About{People: []string{ch.Into, ch.Duplicate}, All: r.places(ch.Into, ch.Duplicate),
		Gives: r.authorities(ch.Into, ch.Duplicate)}
}

func (ch MergePeople) make(r *Records, c *Case) error {
	from, err := r.person(ch.Duplicate)
	if err != nil {
		return refuse(refusalOf(err), "duplicate", Unknown)
	}
	into, err := r.person(ch.Into)
	if err != nil {
		return refuse(refusalOf(err), "into", Unknown)
	}
	// What an unverified or restricted profile holds must not become that of a
	// verified one without anybody having looked.
	for _, p := range []*Person{from, into} {
		switch {
		case p.Robot.Owner != "":
			return ErrRobot
		case p.Profile == idp.Restricted:
			return ErrRestricted
		case p.Profile != into.Profile:
			return ErrUnverified
		}
	}
	if len(into.Positions)+len(from.Positions) > maxPositions || len(into.Cards)+len(from.Cards) > maxCards ||
		len(into.Authenticators)+len(from.Authenticators) > maxAuthenticators {
		return ErrMany
	}
	into.Positions = append(into.Positions, from.Positions...)
	into.Cards = append(into.Cards, from.Cards...)
	if into.Issuers == nil {
		into.Issuers = map[string]string{}
	}
	maps.Copy(into.Issuers, from.Issuers)
	if into.Issued == nil {
		into.Issued = map[string]Issued{}
	}
	maps.Copy(into.Issued, from.Issued)
	for _, a := range from.Authenticators {
		// A password and its codes are sealed for one profile, and found by it.
		if a.Kind == authenticators.CodeKind {
			c.warn(Warning{Code: WarnCodesEnd, UID: from.UID})
			continue
		}
		into.Authenticators = append(into.Authenticators, a)
	}
	into.Memberships = append(into.Memberships, from.Memberships...)
	from.Positions, from.Cards, from.Authenticators, from.Memberships = nil, nil, nil, nil
	if err := from.close(c); err != nil {
		return err
	}
	from.MergedInto, from.Email = into.UID, "" // two people do not have one address
	c.Done.ID, c.Done.Person = into.UID, into
	c.journal(r, idp.Event{Subject: into.UID, Reason: join(ch.Reason, "duplicate "+from.UID)})
	c.journal(r, idp.Event{Subject: from.UID, Reason: join(ch.Reason, "into "+into.UID)})
	return nil
}
