package registry

import (
	"cmp"
	"slices"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// AddOrganisation adds an organisation.
type AddOrganisation struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
}

// Kind implements Change.
func (AddOrganisation) Kind() Kind { return OrganisationAdded }

func (ch AddOrganisation) check() error { return organisation(ch.Code, ch.Name, ch.Parent, "").err() }

func organisation(code, name, parent, reason string) checks {
	var f checks
	f.like("code", code, orgCode, true)
	f.text("name", name, maxLongName, true)
	f.like("parent", parent, orgCode, false)
	f.reason(reason, false)
	return f
}

func (ch AddOrganisation) touches() Touch {
	return Touch{Organisations: list(ch.Code, ch.Parent)}
}

// list is what is not empty of some codes.
func list(codes ...string) []string {
	return slices.DeleteFunc(codes, func(c string) bool { return c == "" })
}

// top is the code that stands for what is above all organisations: nobody holds
// a position there, and only what counts as above everything is above it.
const top = "-"

// under is where the authority for what stands under a parent is held.
func under(parent string) string { return cmp.Or(parent, top) }

func (ch AddOrganisation) about(*Records) About { return About{All: []string{under(ch.Parent)}} }

func (ch AddOrganisation) make(r *Records, c *Case) error {
	if r.Organisations[ch.Code] != nil {
		return refuse(idp.ErrTaken, "code", Taken)
	}
	if ch.Parent != "" {
		if err := r.standing(ch.Parent, "parent"); err != nil {
			return err
		}
	}
	r.Organisations[ch.Code] = &directory.Organisation{Code: ch.Code, Name: ch.Name, Parent: ch.Parent}
	c.Done.ID = ch.Code
	c.journal(r, idp.Event{Organisation: ch.Code})
	return nil
}

// standing says whether an organisation is there and not closed, nor about to
// be.
func (r *Records) standing(code, field string) error {
	o := r.Organisations[code]
	switch {
	case o == nil:
		return refuse(ErrNoOrganisation, field, Unknown)
	case o.ClosedOn != "":
		return refuse(ErrOrganisationClosed, field, Order)
	}
	return nil
}

// ChangeOrganisation gives an organisation another name or parent.
type ChangeOrganisation struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Kind implements Change.
func (ChangeOrganisation) Kind() Kind { return OrganisationChanged }

func (ch ChangeOrganisation) words() string { return ch.Reason }

func (ch ChangeOrganisation) check() error {
	return organisation(ch.Code, ch.Name, ch.Parent, ch.Reason).err()
}

func (ch ChangeOrganisation) touches() Touch {
	return Touch{Organisations: list(ch.Code, ch.Parent)}
}

// about: who moves an organisation needs the authority over the parent that it
// leaves and over the one that it gets.
func (ch ChangeOrganisation) about(r *Records) About {
	a := About{All: []string{ch.Code}}
	if o := r.Organisations[ch.Code]; o != nil && o.Parent != ch.Parent {
		a.All = append(a.All, under(o.Parent), under(ch.Parent))
	}
	return a
}

func (ch ChangeOrganisation) make(r *Records, c *Case) error {
	o := r.Organisations[ch.Code]
	if o == nil {
		return ErrNoOrganisation
	}
	if o.ClosedOn != "" && o.ClosedOn < r.Today {
		return ErrOrganisationClosed
	}
	if ch.Parent != "" && ch.Parent != o.Parent {
		if err := r.standing(ch.Parent, "parent"); err != nil {
			return err
		}
		above := r.above(ch.Parent)
		if slices.Contains(above, ch.Code) || len(above) >= highest-1 {
			return refuse(ErrCircle, "parent", Unknown)
		}
	}
	o.Name, o.Parent = ch.Name, ch.Parent
	c.Done.ID = ch.Code
	c.journal(r, idp.Event{Organisation: ch.Code})
	return nil
}

// CloseOrganisation closes an organisation: On is its last day, and that of all
// positions there. A successor is only named.
type CloseOrganisation struct {
	Code      string   `json:"code"`
	On        idp.Date `json:"on"`
	Successor string   `json:"successor,omitempty"`
	Reason    string   `json:"reason"`
}

// Kind implements Change.
func (CloseOrganisation) Kind() Kind { return OrganisationClosed }

func (ch CloseOrganisation) words() string { return ch.Reason }

func (ch CloseOrganisation) check() error {
	return closing(ch.Code, ch.Successor, ch.On, ch.Reason, false).err()
}

func closing(code, successor string, on idp.Date, reason string, required bool) checks {
	var f checks
	f.like("code", code, orgCode, true)
	f.like("successor", successor, orgCode, required)
	if code == successor {
		f.add("successor", Twice)
	}
	f.day("on", on, true)
	f.reason(reason, true)
	return f
}

func (ch CloseOrganisation) touches() Touch {
	return Touch{Organisations: list(ch.Code, ch.Successor), At: ch.Code}
}

func (ch CloseOrganisation) about(*Records) About { return About{All: []string{ch.Code}} }

func (ch CloseOrganisation) make(r *Records, c *Case) error {
	if err := r.shut(ch.Code, ch.Successor, ch.On); err != nil {
		return err
	}
	c.Done.ID = ch.Code
	c.journal(r, idp.Event{Organisation: ch.Code})
	for _, uid := range r.workers(ch.Code) {
		if ended := r.People[uid].end(ch.Code, ch.On); len(ended) > 0 {
			c.Done.IDs = append(c.Done.IDs, ended...)
			c.journal(r, idp.Event{Subject: uid, Organisation: ch.Code})
		}
	}
	return nil
}

// shut writes down the last day of an organisation and what comes after it.
func (r *Records) shut(code, successor string, on idp.Date) error {
	o := r.Organisations[code]
	switch {
	case o == nil:
		return ErrNoOrganisation
	case o.ClosedOn != "":
		return ErrOrganisationClosed
	case on < previous(r.Today):
		return refuse(ErrDay, "on", Order)
	}
	if successor != "" {
		if err := r.standing(successor, "successor"); err != nil {
			return err
		}
	}
	for _, other := range r.Organisations {
		if other.Parent == code && (other.ClosedOn == "" || other.ClosedOn > on) {
			return refuse(ErrBelow, "code", Unknown)
		}
	}
	o.ClosedOn, o.Successor = on, successor
	return nil
}

// workers are who has a position at an organisation, in the order of their uids.
func (r *Records) workers(code string) []string {
	var uids []string
	for uid, p := range r.People {
		if slices.ContainsFunc(p.Positions, func(pos directory.Position) bool { return pos.Organisation == code }) {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}
