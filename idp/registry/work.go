package registry

import (
	"cmp"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Coded is a code with its name.
type Coded struct {
	Code string `json:"code"`
	Name string `json:"name,omitempty"`
}

// Work is what a position says.
type Work struct {
	Organisation string   `json:"organisation"`
	RoleCode     string   `json:"role_code"`
	RoleName     string   `json:"role_name,omitempty"`
	Activities   []Coded  `json:"activities,omitempty"`
	AreasOfWork  []Coded  `json:"areas_of_work,omitempty"`
	Workgroups   []Coded  `json:"workgroups,omitempty"`
	From         idp.Date `json:"from,omitempty"` // empty: today
	To           idp.Date `json:"to,omitempty"`   // the last day; empty: open
}

// authorities are those that the work gives, of the registration authority.
func (w Work) authorities() []Authority {
	var codes []string
	for _, a := range w.Activities {
		codes = append(codes, a.Code)
	}
	return AuthoritiesOf(w.RoleCode, codes)
}

// open says whether somebody may work at an organisation until a day.
func (r *Records) open(code string, to idp.Date) error {
	o := r.Organisations[code]
	switch {
	case o == nil:
		return refuse(ErrNoOrganisation, "organisation", Unknown)
	case o.ClosedOn != "" && (to == "" || to > o.ClosedOn):
		return refuse(ErrOrganisationClosed, "to", Order)
	}
	return nil
}

// fits says whether p may hold a position with that work, beside the one called
// except, and fills in the days that were left out.
func (w *Work) fits(r *Records, c *Case, p *Person, except string, confirmed bool) error {
	if p.Profile == idp.Restricted {
		return ErrRestricted
	}
	w.From = cmp.Or(w.From, r.Today)
	if p.Robot.Owner != "" {
		if len(w.authorities()) > 0 {
			return ErrRobot // a program is no registration authority
		}
		if w.To = cmp.Or(w.To, p.Robot.Until); w.To > p.Robot.Until {
			return refuse(ErrDay, "to", Order)
		}
	}
	if w.To != "" && (w.To < r.Today || w.To < w.From) {
		return refuse(ErrDay, "to", Order)
	}
	if err := r.open(w.Organisation, w.To); err != nil {
		return err
	}
	for _, pos := range p.Positions {
		if pos.ID != except && pos.Organisation == w.Organisation && pos.RoleCode == w.RoleCode && meet(pos, *w) {
			return &Refused{Refusal: ErrSamePosition, Fields: []Field{{"role_code", Twice}}}
		}
	}
	if p.Profile == idp.Unverified {
		if len(w.authorities()) > 0 {
			return ErrUnverified // who they are decides what others are
		}
		c.warn(Warning{Code: WarnUnverified, UID: p.UID, Confirm: !confirmed})
	}
	return nil
}

// meet says whether there is a day on which both are held.
func meet(p directory.Position, w Work) bool {
	return (w.To == "" || p.From <= w.To) && (p.To == "" || w.From <= p.To)
}

// orgPersonID is the number of a person at an organisation: one for all that
// they do there.
func (p *Person) orgPersonID(organisation string, fresh func() string) string {
	for _, pos := range p.Positions {
		if pos.Organisation == organisation && pos.OrgPersonID != "" {
			return pos.OrgPersonID
		}
	}
	for _, m := range p.Memberships {
		if m.Organisation == organisation && m.OrgPersonID != "" {
			return m.OrgPersonID
		}
	}
	return fresh()
}

func directoryCodes(codes []Coded) []directory.Coded {
	var out []directory.Coded
	for _, c := range codes {
		out = append(out, directory.Coded(c))
	}
	return out
}

// put writes the work down as a position.
func (w Work) put(pos *directory.Position) {
	pos.RoleCode, pos.RoleName, pos.From, pos.To = w.RoleCode, w.RoleName, w.From, w.To
	pos.Activities, pos.AreasOfWork, pos.Workgroups = directoryCodes(w.Activities), directoryCodes(w.AreasOfWork), directoryCodes(w.Workgroups)
}

// assign gives p a position and returns its id.
func (w Work) assign(c *Case, p *Person, reason string) (string, error) {
	if len(p.Positions) >= maxPositions {
		return "", ErrMany
	}
	pos := directory.Position{ID: c.NewID(), Organisation: w.Organisation, Reason: reason,
		OrgPersonID: p.orgPersonID(w.Organisation, c.NewID)}
	w.put(&pos)
	p.Positions = append(p.Positions, pos)
	return pos.ID, nil
}
