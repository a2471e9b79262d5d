package registry

import (
	"cmp"
	"slices"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// MergeOrganisations closes an organisation as CloseOrganisation does, and from
// the day after its positions go on at its successor, under numbers of their
// own: what was done until then was done at the organisation that was.
type MergeOrganisations struct {
	Code      string   `json:"code"`
	Successor string   `json:"successor"`
	On        idp.Date `json:"on"`
	Reason    string   `json:"reason"`
}

// Kind implements Change.
func (MergeOrganisations) Kind() Kind { return OrganisationsMerged }

func (ch MergeOrganisations) words() string { return ch.Reason }

func (ch MergeOrganisations) check() error {
	return closing(ch.Code, ch.Successor, ch.On, ch.Reason, true).err()
}

func (ch MergeOrganisations) touches() Touch {
	return Touch{Organisations: []string{ch.Code, ch.Successor}, At: ch.Code}
}

// about: everybody's positions move, the actor's with them. They gain nothing:
// the authority must be theirs at both.
func (ch MergeOrganisations) about(*Records) About {
	return About{All: []string{ch.Code, ch.Successor}}
}

func (ch MergeOrganisations) make(r *Records, c *Case) error {
	if err := r.shut(ch.Code, ch.Successor, ch.On); err != nil {
		return err
	}
	c.Done.ID = ch.Code
	c.journal(r, idp.Event{Organisation: ch.Code, Reason: join(c.base.Reason, "into "+ch.Successor)})
	for _, uid := range r.workers(ch.Code) {
		if _, err := r.People[uid].move(c, r, ch.Code, ch.Successor, next(ch.On)); err != nil {
			return err
		}
	}
	return nil
}

// move lets the positions of p at one organisation go on at another from a day.
// Until the day before they stay what they were, under their numbers; the
// tokens and records of that time name them.
func (p *Person) move(c *Case, r *Records, from, to string, day idp.Date) (int, error) {
	var moved []directory.Position
	for _, pos := range p.Positions {
		if pos.Organisation == from && (pos.To == "" || pos.To >= day) {
			moved = append(moved, pos)
		}
	}
	if len(moved) == 0 {
		return 0, nil
	}
	p.end(from, previous(day))
	for _, pos := range moved {
		if p.Profile == idp.Closed || p.doubled(pos, to, day) {
			continue // what they do there already they do not do twice
		}
		if len(p.Positions) >= maxPositions {
			return 0, ErrMany
		}
		pos.OrgPersonID, pos.ID, pos.Organisation = p.orgPersonID(to, c.NewID), c.NewID(), to
		pos.From = max(pos.From, day)
		p.Positions = append(p.Positions, pos)
		c.Done.IDs = append(c.Done.IDs, pos.ID)
		c.journal(r, idp.Event{Subject: p.UID, Organisation: to, Role: pos.ID, Reason: join(c.base.Reason, "from "+from)})
	}
	return len(moved), nil
}

// doubled says whether p holds at an organisation, for as long, what a position
// says.
func (p *Person) doubled(pos directory.Position, at string, day idp.Date) bool {
	return slices.ContainsFunc(p.Positions, func(other directory.Position) bool {
		return other.Organisation == at && other.RoleCode == pos.RoleCode && other.From <= max(pos.From, day) &&
			(other.To == "" || pos.To != "" && pos.To <= other.To) && slices.Equal(other.Activities, pos.Activities) &&
			slices.Equal(other.AreasOfWork, pos.AreasOfWork) && slices.Equal(other.Workgroups, pos.Workgroups)
	})
}

// MovePositions lets positions go on at another organisation from a day.
type MovePositions struct {
	From   string   `json:"from"` // code
	To     string   `json:"to"`   // code
	Day    idp.Date `json:"day"`  // the first there
	UIDs   []string `json:"uids,omitempty"`
	Reason string   `json:"reason"`
}

// Kind implements Change.
func (MovePositions) Kind() Kind { return PositionsMoved }

func (ch MovePositions) words() string { return ch.Reason }

func (ch MovePositions) check() error {
	var f checks
	f.like("from", ch.From, orgCode, true)
	f.like("to", ch.To, orgCode, true)
	if ch.From == ch.To {
		f.add("to", Twice)
	}
	f.day("day", ch.Day, false)
	f.uids("uids", ch.UIDs, false)
	f.reason(ch.Reason, true)
	return f.err()
}

func (ch MovePositions) touches() Touch {
	t := Touch{People: slices.Clone(ch.UIDs), Organisations: []string{ch.From, ch.To}}
	if len(ch.UIDs) == 0 {
		t.At = ch.From
	}
	return t
}

func (ch MovePositions) about(r *Records) About {
	a := About{People: ch.UIDs, All: []string{ch.From, ch.To}}
	uids := ch.UIDs
	if len(uids) == 0 {
		uids = r.workers(ch.From)
	}
	a.Gives = r.authoritiesAt(ch.From, uids)
	return a
}

// authoritiesAt are those that people hold at an organisation, or will.
func (r *Records) authoritiesAt(code string, uids []string) []Authority {
	var all []Authority
	for _, uid := range uids {
		if p := r.People[uid]; p != nil {
			for _, h := range p.held(r.Today, true) {
				if h.Organisation == code && !slices.Contains(all, h.Authority) {
					all = append(all, h.Authority)
				}
			}
		}
	}
	return all
}

func (ch MovePositions) make(r *Records, c *Case) error {
	day := cmp.Or(ch.Day, r.Today)
	if day < r.Today {
		return refuse(ErrDay, "day", Order)
	}
	if r.Organisations[ch.From] == nil {
		return refuse(ErrNoOrganisation, "from", Unknown)
	}
	if err := r.standing(ch.To, "to"); err != nil {
		return err
	}
	uids := ch.UIDs
	if len(uids) == 0 {
		uids = r.workers(ch.From)
	}
	moved := 0
	for i, uid := range uids {
		p := r.People[uid]
		switch {
		case p == nil:
			return refuse(ErrNoPerson, at("uids", i), Unknown)
		case len(ch.UIDs) == 0 && (uid == c.Actor.Person.UID || p.Robot.Owner == c.Actor.Person.UID && p.Robot.Owner != ""):
			c.warn(Warning{Code: WarnLeftAlone, UID: uid}) // nobody acts on themself
			continue
		}
		n, err := p.move(c, r, ch.From, ch.To, day)
		if err != nil {
			return err
		}
		if n == 0 && len(ch.UIDs) > 0 {
			return refuse(ErrNoPosition, at("uids", i), Unknown)
		}
		moved += n
	}
	if moved == 0 {
		c.warn(Warning{Code: WarnNothing})
	}
	c.Done.ID = ch.To
	return nil
}
