package registry

import (
	"fmt"
	"strconv"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// find finds people.
func (a *API) find(c *call) (any, error) {
	q, err := c.listing()
	if err != nil {
		return nil, err
	}
	found, next, err := a.Service.Finder.FindPeople(c.r.Context(), q)
	if err != nil {
		return nil, fmt.Errorf("find people: %w", err)
	}
	return page[registry.Found]{found, next}, nil
}

// records are what the registry has of the person of the path.
func (a *API) records(c *call) (*registry.Person, error) {
	uid := c.at("uid")
	if !idp.IsUID(uid) {
		return nil, registry.ErrNoPerson
	}
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{People: []string{uid}})
	if err != nil {
		return nil, fmt.Errorf("person %s: %w", uid, err)
	}
	if p := r.People[uid]; p != nil {
		return p, nil
	}
	return nil, registry.ErrNoPerson
}

// names are the organisations of somebody's positions, by code.
func (a *API) names(c *call, p *registry.Person) (map[string]idp.Organisation, error) {
	var codes []string
	for _, pos := range p.Positions {
		codes = append(codes, pos.Organisation)
	}
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Organisations: codes})
	if err != nil {
		return nil, fmt.Errorf("organisations of %s: %w", p.UID, err)
	}
	names := map[string]idp.Organisation{}
	for code, o := range r.Organisations {
		names[code] = o.IDP()
	}
	return names, nil
}

// show shows one person.
func (a *API) show(c *call) (any, error) {
	p, err := a.records(c)
	if err != nil {
		return nil, err
	}
	names, err := a.names(c, p)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	of := p.IDP(names)
	v := person{UID: p.UID, Name: registry.PersonName(p.Name), Email: p.Email, Mobile: p.Mobile, NINumberKnown: p.NINumber != "", Profile: p.Profile,
		IdentityAssurance: p.IdentityAssurance, Robot: robot(p.Robot), MergedInto: p.MergedInto, Professional: registry.Professional(p.Professional),
		AddedAt: p.AddedAt, SignedOutAt: p.SignedOutAt, Authorities: registry.Authorities(of, now)}
	for _, pos := range p.Positions {
		v.Positions = append(v.Positions, viewOf(pos, names, idp.DateOf(now)))
	}
	uses, err := a.Service.Uses.LastUses(c.r.Context(), p.UID)
	if err != nil {
		return nil, err
	}
	for _, held := range p.Cards {
		shown := cardOf(p, held)
		shown.UsedAt = uses["card:"+directory.CardSerial(held.Serial)]
		v.Cards = append(v.Cards, shown)
	}
	if v.Authenticators, err = a.held(c, of); err != nil {
		return nil, err
	}
	c.w.Header().Set("ETag", strconv.Quote(p.ETag))
	return v, nil
}

// cardOf is a card of p.
func cardOf(p *registry.Person, c directory.Card) card {
	is := p.Issued[c.Serial]
	return card{Serial: c.Serial, Series: c.Series, State: c.State, EndsOn: c.EndsOn, Certified: is.Certificate != nil, AddedAt: is.AddedAt, RevokedAt: is.RevokedAt}
}

// certificate shows the certificate of a card.
func (a *API) certificate(c *call) (any, error) {
	serial := directory.CardSerial(c.at("serial"))
	if serial == "" {
		return nil, registry.ErrNoCard
	}
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Cards: []string{serial}})
	if err != nil {
		return nil, fmt.Errorf("card %s: %w", serial, err)
	}
	for _, p := range r.People {
		for _, held := range p.Cards {
			if is := p.Issued[held.Serial]; held.Registered && is.Certificate != nil && directory.CardSerial(held.Serial) == serial {
				return certificate{Serial: serial, UID: p.UID, Issuer: p.Issuers[held.Serial], Certificate: is.PEM()}, nil
			}
		}
	}
	return nil, registry.ErrNoCard
}

func (a *API) held(c *call, of idp.Person) ([]authenticator, error) {
	all, err := a.Accounts.Held(c.r.Context(), idp.Owner{Person: of})
	if err != nil {
		return nil, err
	}
	var shown []authenticator
	for _, h := range all {
		shown = append(shown, authenticator{ID: h.ID, Kind: h.Kind, Name: h.Name, Model: h.Model, Method: h.Method, Level: int(h.Level),
			State: h.State, SelfClaimed: h.SelfClaimed, AddedAt: h.AddedAt, UsedAt: h.UsedAt})
	}
	return shown, nil
}

func viewOf(p directory.Position, names map[string]idp.Organisation, today idp.Date) position {
	return position{ID: p.ID, Organisation: p.Organisation, OrganisationName: names[p.Organisation].Name, RoleCode: p.RoleCode, RoleName: p.RoleName,
		Activities: coded(p.Activities), AreasOfWork: coded(p.AreasOfWork), Workgroups: coded(p.Workgroups),
		From: p.From, To: p.To, Reason: p.Reason, Current: p.From <= today && (p.To == "" || today <= p.To)}
}

func coded(list []directory.Coded) []registry.Coded {
	var all []registry.Coded
	for _, c := range list {
		all = append(all, registry.Coded(c))
	}
	return all
}

// sessions shows what a person is signed in to.
func (a *API) sessions(c *call) (any, error) {
	if _, err := a.records(c); err != nil {
		return nil, err
	}
	p, err := a.People.PersonNow(c.r.Context(), c.at("uid"))
	if err != nil {
		return nil, fmt.Errorf("person %s: %w", c.at("uid"), err)
	}
	open, err := a.Accounts.Open(c.r.Context(), idp.Owner{Person: p})
	if err != nil {
		return nil, err
	}
	var shown page[session]
	for _, s := range open {
		shown.Items = append(shown.Items, session{SID: s.ID, Method: s.Method, Level: int(s.Level), AuthTime: s.AuthTime, LastAct: s.LastAct,
			Expires: s.Expires(), Clients: s.Clients})
	}
	return shown, nil
}

// events shows what happened to a person, or by them.
func (a *API) events(c *call) (any, error) {
	q, err := c.listing()
	if err != nil {
		return nil, err
	}
	if _, err := a.records(c); err != nil {
		return nil, err
	}
	events, next, err := a.Service.Finder.EventsOf(c.r.Context(), c.at("uid"), q)
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", c.at("uid"), err)
	}
	return page[idp.Event]{events, next}, nil
}

// wasPerson is the change of a person that changes nothing.
func (a *API) wasPerson(c *call) (registry.ChangePerson, string, error) {
	p, err := a.records(c)
	if err != nil {
		return registry.ChangePerson{}, "", err
	}
	return registry.ChangePerson{UID: p.UID, Details: registry.Details{Name: registry.PersonName(p.Name), Email: p.Email, Mobile: p.Mobile,
		NINumber: p.NINumber, Professional: registry.Professional(p.Professional)}}, p.ETag, nil
}

// wasRobot is likewise of a robot.
func (a *API) wasRobot(c *call) (registry.ChangeRobot, string, error) {
	p, err := a.records(c)
	if err != nil {
		return registry.ChangeRobot{}, "", err
	}
	return registry.ChangeRobot{UID: p.UID, Display: p.Name.Display, Owner: p.Robot.Owner, Until: p.Robot.Until}, p.ETag, nil
}

// wasPosition is likewise of a position.
func (a *API) wasPosition(c *call) (registry.ChangePosition, string, error) {
	id := c.at("position")
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Positions: []string{id}})
	if err != nil {
		return registry.ChangePosition{}, "", fmt.Errorf("position %s: %w", id, err)
	}
	for _, p := range r.People {
		for _, pos := range p.Positions {
			if pos.ID == id {
				return registry.ChangePosition{Position: id, Work: registry.Work{Organisation: pos.Organisation, RoleCode: pos.RoleCode, RoleName: pos.RoleName,
					Activities: coded(pos.Activities), AreasOfWork: coded(pos.AreasOfWork), Workgroups: coded(pos.Workgroups), From: pos.From, To: pos.To}}, "", nil
			}
		}
	}
	return registry.ChangePosition{}, "", registry.ErrNoPosition
}

// me shows who asks.
func (a *API) me(c *call) (any, error) {
	held, err := a.Service.Admit(c.actor)
	if err != nil {
		return nil, err
	}
	v := caller{UID: c.actor.Person.UID, Display: c.actor.Person.Name.Display, Host: c.actor.Host, Level: int(c.actor.Session.Level), Holds: held}
	if c.actor.Host == "" {
		v.AuthTime, v.Expires = c.actor.Session.AuthTime, c.actor.Session.Expires().Truncate(time.Second)
	}
	return v, nil
}
