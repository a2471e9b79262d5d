package registry

import (
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// highest is how far up the parents of an organisation are followed. No tree of
// organisations is as deep: it bounds what a circle would cost.
const highest = 50

// above returns the code of an organisation, and those of all above it.
func (r *Records) above(code string) []string {
	var codes []string
	for o := r.Organisations[code]; o != nil && len(codes) < highest; o = r.Organisations[o.Parent] {
		codes = append(codes, o.Code)
	}
	return codes
}

// AuthoritiesOf returns what a position lets its person do, the highest first.
func AuthoritiesOf(roleCode string, activities []string) []Authority {
	role := roleCode[strings.LastIndex(roleCode, ":")+1:]
	var all []Authority
	for _, m := range marks {
		if (m.role == "" || m.role == role) && (m.activity == "" || slices.Contains(activities, m.activity)) {
			all = append(all, m.authority)
		}
	}
	return all
}

func authoritiesOf(p directory.Position) []Authority {
	return AuthoritiesOf(p.RoleCode, codesOf(p.Activities))
}

func codesOf(coded []directory.Coded) []string {
	var codes []string
	for _, c := range coded {
		codes = append(codes, c.Code)
	}
	return codes
}

// Authorities returns what p holds in the registration authority on the day of
// now, in the order of their positions.
func Authorities(p idp.Person, now time.Time) []Held {
	var held []Held
	for _, pos := range p.Current(now) {
		var codes []string
		for _, a := range pos.Activities {
			codes = append(codes, a.Code)
		}
		for _, a := range AuthoritiesOf(pos.RoleCode, codes) {
			held = append(held, Held{a, pos.Organisation.Code, pos.ID})
		}
	}
	return held
}

// held is Authorities of a person as they are in a change. With coming, those
// of positions that begin later count too.
func (p *Person) held(today idp.Date, coming bool) []Held {
	var held []Held
	for _, pos := range p.Positions {
		if pos.To != "" && pos.To < today || pos.From > today && !coming {
			continue
		}
		for _, a := range authoritiesOf(pos) {
			held = append(held, Held{a, pos.Organisation, pos.ID})
		}
	}
	return held
}

// judgement is what a decision about the right to make a change rests on.
type judgement struct {
	r      *Records
	policy Approvals
	rule   rule
	about  About
	today  idp.Date
}

func (c *Case) judgement(r *Records, ch Change) judgement {
	return judgement{r, c.Policy, ruleOf(ch.Kind()), ch.about(r), r.Today}
}

// over says whether somebody with those authorities holds a at an organisation
// or above it.
func (j judgement) over(held []Held, a Authority, code string) bool {
	above := j.r.above(code)
	return slices.ContainsFunc(held, func(h Held) bool {
		return h.Authority == a && (j.atHome(h) || h.Organisation == code || slices.Contains(above, h.Organisation))
	})
}

// atHome says whether an authority is held where the service is run.
func (j judgement) atHome(h Held) bool { return j.policy.Home != "" && h.Organisation == j.policy.Home }

// covers says whether somebody with those authorities holds a wherever the
// change wants it.
func (j judgement) covers(held []Held, a Authority) bool {
	if j.rule.where == home {
		return slices.ContainsFunc(held, func(h Held) bool { return h.Authority == a && j.atHome(h) })
	}
	for _, code := range j.about.All {
		if !j.over(held, a, code) {
			return false
		}
	}
	if len(j.about.Any) > 0 {
		return slices.ContainsFunc(j.about.Any, func(code string) bool { return j.over(held, a, code) })
	}
	return len(j.about.All) > 0 || slices.ContainsFunc(held, func(h Held) bool { return h.Authority == a })
}

// needs are the codes of the organisations at, or above, which the change wants
// an authority.
func (j judgement) needs() []string {
	codes := append(slices.Clone(j.about.All), j.about.Any...)
	if j.rule.where == home {
		codes = []string{top}
	}
	if i := slices.Index(codes, top); i >= 0 {
		codes[i] = j.policy.Home
	}
	return slices.DeleteFunc(codes, func(code string) bool { return code == "" })
}

// uses returns those of may by which somebody may make the change, or why they
// may not. It looks at nothing of their session.
func (j judgement) uses(actor *Person, may []Authority) ([]Authority, error) {
	if actor == nil || actor.Profile != idp.Verified || actor.Robot.Owner != "" {
		return nil, ErrNotActive
	}
	if j.themself(actor.UID) {
		return nil, ErrSelf
	}
	held := actor.held(j.today, false)
	var uses []Authority
	for _, a := range may {
		if j.covers(held, a) {
			uses = append(uses, a)
		}
	}
	if len(uses) == 0 {
		return nil, ErrNoAuthority
	}
	// Whoever could give an authority, or a card of somebody who holds one,
	// could take the authority for themselves by that.
	if len(j.about.Gives) > 0 || j.holders() {
		if !slices.Contains(uses, Manager) || !j.overHolders(held) {
			return nil, ErrAbove
		}
		uses = []Authority{Manager}
	}
	return uses, nil
}

// themself says whether a change concerns that person, by whatever profile, or a
// robot of theirs.
func (j judgement) themself(uid string) bool {
	return slices.Contains(j.about.Owners, uid) || sameNumbers(j.about.New, j.r.People[uid]) ||
		slices.ContainsFunc(j.about.People, func(other string) bool {
			p := j.r.People[other]
			return other == uid || p != nil && (p.Robot.Owner == uid || sameNumbers(detailsOf(p.Person), j.r.People[uid]))
		})
}

// holders says whether the change gives access to somebody who holds an
// authority.
func (j judgement) holders() bool {
	return j.rule.raises && slices.ContainsFunc(j.about.People, func(uid string) bool {
		p := j.r.People[uid]
		return p != nil && len(p.held(j.today, true)) > 0
	})
}

// overHolders says whether somebody with those authorities is a manager
// wherever those whom the change gives access hold one.
func (j judgement) overHolders(held []Held) bool {
	if !j.rule.raises {
		return true
	}
	for _, uid := range j.about.People {
		p := j.r.People[uid]
		if p == nil {
			continue
		}
		for _, h := range p.held(j.today, true) {
			if !j.over(held, Manager, h.Organisation) {
				return false
			}
		}
	}
	return true
}

// signedIn says whether a session is good enough for the change.
func (j judgement) signedIn(s idp.Session, now time.Time) error {
	if s.Level < authenticators.AAL3 {
		return idp.ErrTooLow
	}
	if j.rule.raises {
		return s.MayAdd(authenticators.AAL3, now) // as fresh as for a new authenticator of that level
	}
	return nil
}

// ask says whether an actor may ask for the change, and who must approve it;
// none: nobody.
func (j judgement) ask(a Actor, now time.Time) ([]Authority, error) {
	if a.Host != "" {
		return nil, nil
	}
	uses, err := j.uses(j.r.People[a.Person.UID], j.rule.may)
	if err != nil {
		return nil, err
	}
	if err := j.signedIn(a.Session, now); err != nil {
		return nil, err
	}
	return j.seconds(uses), nil
}

// seconds returns whose approval a change waits for when somebody asks for it by
// any of those authorities: nobody's, if one of them needs none.
func (j judgement) seconds(uses []Authority) []Authority {
	var by []Authority
	for _, a := range uses {
		second := j.policy.second(j.rule.kind, a)
		if len(second) == 0 {
			return nil
		}
		for _, b := range second {
			if !slices.Contains(by, b) {
				by = append(by, b)
			}
		}
	}
	return by
}

// approve says whether an actor may be the second person for the change.
func (j judgement) approve(a Actor, by []Authority, now time.Time) error {
	if a.Host != "" {
		return nil
	}
	if _, err := j.uses(j.r.People[a.Person.UID], by); err != nil {
		return err
	}
	return j.signedIn(a.Session, now)
}
