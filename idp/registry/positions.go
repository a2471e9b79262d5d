package registry

import (
	"cmp"
	"slices"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// AssignPosition gives a position to one person or many.
type AssignPosition struct {
	UIDs []string `json:"uids"`
	Work
	Confirmed bool   `json:"confirmed"` // that some are unverified is known
	Reason    string `json:"reason,omitempty"`
}

// Kind implements Change.
func (AssignPosition) Kind() Kind { return PositionAssigned }

func (ch AssignPosition) words() string { return ch.Reason }

func (ch AssignPosition) check() error {
	var f checks
	f.uids("uids", ch.UIDs, true)
	f.work(ch.Work)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch AssignPosition) touches() Touch {
	return Touch{People: ch.UIDs, Organisations: []string{ch.Organisation}}
}

func (ch AssignPosition) about(*Records) About {
	return About{People: ch.UIDs, All: []string{ch.Organisation}, Gives: ch.authorities()}
}

func (ch AssignPosition) make(r *Records, c *Case) error {
	var refused checks
	var first error
	for i, uid := range ch.UIDs {
		p, err := r.person(uid)
		work := ch.Work
		if err == nil {
			err = work.fits(r, c, p, "", ch.Confirmed)
		}
		if err != nil {
			if len(ch.UIDs) == 1 {
				return err
			}
			first = cmp.Or(first, err)
			refused.add(at("uids", i), string(refusalOf(err)))
			continue
		}
		id, err := work.assign(c, p, "")
		if err != nil {
			return err
		}
		c.Done.IDs = append(c.Done.IDs, id)
		c.Done.Person = p
		c.journal(r, idp.Event{Subject: uid, Organisation: ch.Organisation, Role: id})
	}
	if first != nil {
		// All are shown at once: nobody corrects a list line by line.
		return &Refused{Refusal: refusalOf(first), Fields: refused}
	}
	if c.Done.ID = c.Done.IDs[0]; len(ch.UIDs) > 1 {
		c.Done.Person = nil
	}
	return nil
}

// ChangePosition replaces what a position says. Its organisation stays.
type ChangePosition struct {
	Position string `json:"position"`
	Work
	Confirmed bool   `json:"confirmed"`
	Reason    string `json:"reason,omitempty"`
}

// Kind implements Change.
func (ChangePosition) Kind() Kind { return PositionChanged }

func (ch ChangePosition) words() string { return ch.Reason }

func (ch ChangePosition) check() error {
	var f checks
	f.id("position", ch.Position)
	work := ch.Work
	work.Organisation = cmp.Or(work.Organisation, "X26") // that it had before
	f.work(work)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch ChangePosition) touches() Touch { return Touch{Positions: []string{ch.Position}} }

func (ch ChangePosition) about(r *Records) About {
	a := r.aboutPosition(ch.Position)
	a.Gives = append(a.Gives, ch.authorities()...)
	return a
}

// position returns a position, and who holds it.
func (r *Records) position(id string) (*Person, *directory.Position) {
	for _, p := range r.People {
		for i := range p.Positions {
			if p.Positions[i].ID == id {
				return p, &p.Positions[i]
			}
		}
	}
	return nil, nil
}

func (r *Records) aboutPosition(id string) About {
	p, pos := r.position(id)
	if p == nil {
		return About{}
	}
	return About{People: []string{p.UID}, All: []string{pos.Organisation}, Gives: authoritiesOf(*pos)}
}

func (ch ChangePosition) make(r *Records, c *Case) error {
	p, pos := r.position(ch.Position)
	if p == nil || pos.To != "" && pos.To < r.Today {
		return ErrNoPosition
	}
	if _, err := r.person(p.UID); err != nil {
		return err
	}
	work := ch.Work
	work.From = cmp.Or(work.From, pos.From)
	if work.Organisation = cmp.Or(work.Organisation, pos.Organisation); work.Organisation != pos.Organisation {
		return refuse(ErrField, "organisation", Unknown)
	}
	if err := work.fits(r, c, p, pos.ID, ch.Confirmed); err != nil {
		return err
	}
	work.put(pos)
	c.Done.ID, c.Done.Person = pos.ID, p
	c.journal(r, idp.Event{Subject: p.UID, Organisation: pos.Organisation, Role: pos.ID})
	return nil
}

// EndPosition ends a position with a day: today by default, or yesterday, which
// ends it at once. One that has not begun by then is taken away.
type EndPosition struct {
	Position string   `json:"position"`
	Day      idp.Date `json:"day,omitempty"` // its last
	Reason   string   `json:"reason,omitempty"`
}

// Kind implements Change.
func (EndPosition) Kind() Kind { return PositionEnded }

func (ch EndPosition) words() string { return ch.Reason }

func (ch EndPosition) check() error {
	var f checks
	f.id("position", ch.Position)
	f.day("day", ch.Day, false)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch EndPosition) touches() Touch         { return Touch{Positions: []string{ch.Position}} }
func (ch EndPosition) about(r *Records) About { return r.aboutPosition(ch.Position) }

func (ch EndPosition) make(r *Records, c *Case) error {
	p, pos := r.position(ch.Position)
	if p == nil || pos.To != "" && pos.To < r.Today {
		return ErrNoPosition
	}
	day := cmp.Or(ch.Day, r.Today)
	if day < previous(r.Today) || pos.To != "" && day > pos.To {
		return refuse(ErrDay, "day", Order)
	}
	id, organisation := pos.ID, pos.Organisation
	if pos.To = day; pos.From > day {
		p.Positions = slices.DeleteFunc(p.Positions, func(other directory.Position) bool { return other.ID == id })
	}
	c.last(r, p)
	c.Done.ID, c.Done.Person = id, p
	c.journal(r, idp.Event{Subject: p.UID, Organisation: organisation, Role: id})
	return nil
}

// last warns of somebody with no position that goes on.
func (c *Case) last(r *Records, p *Person) {
	if !slices.ContainsFunc(p.Positions, func(pos directory.Position) bool { return pos.To == "" || pos.To > r.Today }) {
		c.warn(Warning{Code: WarnLast, UID: p.UID})
	}
}

// LeavePerson ends all positions that a person has at an organisation. Card,
// authenticators and profile live on.
type LeavePerson struct {
	UID          string   `json:"uid"`
	Organisation string   `json:"organisation"`
	Day          idp.Date `json:"day,omitempty"` // the last
	Reason       string   `json:"reason,omitempty"`
}

// Kind implements Change.
func (LeavePerson) Kind() Kind { return PersonLeft }

func (ch LeavePerson) words() string { return ch.Reason }

func (ch LeavePerson) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.like("organisation", ch.Organisation, orgCode, true)
	f.day("day", ch.Day, false)
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch LeavePerson) touches() Touch {
	return Touch{People: []string{ch.UID}, Organisations: []string{ch.Organisation}}
}

func (ch LeavePerson) about(r *Records) About {
	a := About{People: []string{ch.UID}, All: []string{ch.Organisation}}
	if p := r.People[ch.UID]; p != nil {
		for _, h := range p.held(r.Today, true) {
			if h.Organisation == ch.Organisation {
				a.Gives = append(a.Gives, h.Authority)
			}
		}
	}
	return a
}

func (ch LeavePerson) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	day := cmp.Or(ch.Day, r.Today)
	if day < previous(r.Today) {
		return refuse(ErrDay, "day", Order)
	}
	if c.Done.IDs = p.end(ch.Organisation, day); len(c.Done.IDs) == 0 {
		return ErrNoPosition
	}
	c.last(r, p)
	c.Done.ID, c.Done.Person = p.UID, p
	c.journal(r, idp.Event{Subject: p.UID, Organisation: ch.Organisation})
	return nil
}

// GrantTemporary gives a position for a time that the policy bounds.
type GrantTemporary struct {
	UID string `json:"uid"`
	Work
	Confirmed bool   `json:"confirmed"`
	Reason    string `json:"reason"`
}

// Kind implements Change.
func (GrantTemporary) Kind() Kind { return TemporaryGranted }

func (ch GrantTemporary) words() string { return ch.Reason }

func (ch GrantTemporary) check() error {
	var f checks
	f.uid("uid", ch.UID)
	f.work(ch.Work)
	f.reason(ch.Reason, true)
	if ch.To == "" {
		f.add("to", Missing)
	}
	return f.err()
}

func (ch GrantTemporary) touches() Touch {
	return Touch{People: []string{ch.UID}, Organisations: []string{ch.Organisation}}
}

func (ch GrantTemporary) about(*Records) About {
	return About{People: []string{ch.UID}, All: []string{ch.Organisation}, Gives: ch.authorities()}
}

// temporaryDays is how many days temporary access lasts at most.
func (p Approvals) temporaryDays() int {
	const days = 14
	return cmp.Or(p.TemporaryDays, days)
}

func (ch GrantTemporary) make(r *Records, c *Case) error {
	p, err := r.person(ch.UID)
	if err != nil {
		return err
	}
	work := ch.Work
	if err := work.fits(r, c, p, "", ch.Confirmed); err != nil {
		return err
	}
	if work.To > shift(work.From, c.Policy.temporaryDays()-1) {
		return refuse(ErrTooLong, "to", Range)
	}
	id, err := work.assign(c, p, ch.Reason)
	if err != nil {
		return err
	}
	c.Done.ID, c.Done.Person = id, p
	c.journal(r, idp.Event{Subject: p.UID, Organisation: work.Organisation, Role: id})
	return nil
}
