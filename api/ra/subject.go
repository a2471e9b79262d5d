package ra

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// subject is what a form is of, as the registry has it.
type subject struct {
	records      registry.Records
	person       *registry.Person
	position     *directory.Position
	card         *directory.Card
	organisation *directory.Organisation
	applicant    *registry.Applicant
}

// subject finds what a form is of. What is not there is left out: the service
// says so of the change.
func (p *Pages) subject(v visit, a asked) (subject, error) {
	uid, code := first(a.values, "uid", "duplicate"), first(a.values, "code", "from")
	if a.kind == registry.NoticeSent {
		code = a.values.Get("organisation")
	}
	serial, position := first(a.values, "old", "serial"), a.values.Get("position")
	if all := list(a.values.Get("uids")); uid == "" && len(all) == 1 {
		uid = all[0]
	}
	t := registry.Touch{People: []string{v.actor.Person.UID}}
	if idp.IsUID(uid) {
		t.People = distinct(v.actor.Person.UID, uid)
	}
	if code != "" && a.belongsToOrganisation() {
		t.Organisations = []string{code}
	}
	if serial != "" && uid == "" {
		t.Cards = []string{serial}
	}
	if position != "" {
		t.Positions = []string{position}
	}
	id := a.values.Get("applicant")
	if id != "" {
		t.Applicants = []string{id}
	}
	r, err := p.Service.Keeper.Records(v.Context(), t)
	if err != nil {
		return subject{}, err
	}
	if err := p.addOrganisations(v, &r); err != nil {
		return subject{}, err
	}
	s := subject{records: r, person: r.People[uid], organisation: r.Organisations[code], applicant: r.Applicants[id]}
	for _, person := range r.People {
		s.find(person, position, serial)
	}
	return s, nil
}

func (a asked) belongsToOrganisation() bool {
	switch a.kind {
	case registry.OrganisationAdded, registry.OrganisationChanged, registry.OrganisationClosed, registry.OrganisationsMerged, registry.PositionsMoved, registry.NoticeSent:
		return true
	}
	return false
}

// find looks for a position or a card among what somebody holds.
func (s *subject) find(person *registry.Person, position, serial string) {
	if person == nil {
		return
	}
	for i := range person.Positions {
		if position != "" && person.Positions[i].ID == position {
			s.person, s.position = person, &person.Positions[i]
		}
	}
	for i := range person.Cards {
		if serial != "" && directory.CardSerial(person.Cards[i].Serial) == directory.CardSerial(serial) {
			s.person, s.card = person, &person.Cards[i]
		}
	}
}

func first(values url.Values, names ...string) string {
	for _, name := range names {
		if value := values.Get(name); value != "" {
			return value
		}
	}
	return ""
}

// page is where what a form is of is shown.
func (s subject) page(a asked) string {
	switch {
	case s.person != nil:
		return "/ra/people/" + s.person.UID
	case s.organisation != nil && a.belongsToOrganisation():
		return "/ra/organisations/" + url.PathEscape(s.organisation.Code)
	case a.kind == registry.SeriesRuleSet || a.kind == registry.AgentRuleSet:
		return "/ra/policy"
	case s.applicant != nil:
		return applicantsPath + "/" + url.PathEscape(s.applicant.ID)
	case a.kind == registry.ApplicantInvited:
		return applicantsPath
	case a.belongsToOrganisation():
		return "/ra/organisations"
	}
	return "/ra"
}

// facts say what a form is of.
func (p *Pages) subjectFacts(v visit, s subject, a asked) []web.Fact {
	var facts []web.Fact
	add := func(key, value string) { facts = append(facts, web.Fact{Name: p.say(v, key), Value: value}) }
	if s.person != nil {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.head.person"), Value: display(s.person.Person) + ", " + s.person.UID, Href: s.page(a)})
	}
	if s.applicant != nil {
		add("ra.applicant", cmp.Or(s.applicant.Said.Name.Display, s.applicant.Email)+", "+s.applicant.Email)
	}
	if s.position != nil {
		add("ra.head.position", roleName(s.position.RoleName, s.position.RoleCode)+", "+organisationName(s.records, s.position.Organisation))
	}
	if s.card != nil {
		add("ra.head.card", s.card.Serial)
	}
	if id := a.values.Get("id"); id != "" && s.person != nil {
		for _, held := range s.person.Authenticators {
			if held.ID == id {
				add("ra.head.authenticator", held.Name+", "+p.say(v, "held."+string(held.Kind)))
			}
		}
	}
	if s.organisation != nil && a.belongsToOrganisation() && a.kind != registry.OrganisationAdded {
		add("ra.head.organisation", s.organisation.Name+", "+s.organisation.Code)
	}
	return facts
}

// prefilled are the values of a form before anybody has filled it in: what
// stands in the registry now, under what came in the address.
func (s subject) prefilled(a asked) url.Values {
	v := url.Values{}
	switch {
	case a.kind == registry.PersonChanged && s.person != nil:
		s.details(v)
	case a.kind == registry.RobotChanged && s.person != nil:
		v.Set("display", s.person.Name.Display)
		v.Set("owner", s.person.Robot.Owner)
		v.Set("until", string(s.person.Robot.Until))
	case a.kind == registry.PositionChanged && s.position != nil:
		workOf(v, *s.position)
	case a.kind == registry.OrganisationChanged && s.organisation != nil:
		v.Set("name", s.organisation.Name)
		v.Set("parent", s.organisation.Parent)
	case a.kind == registry.CardIssued || a.kind == registry.CardReplaced:
		v.Set("series", "9")
	case a.kind == registry.SeriesRuleSet:
		v.Set("legacy_gateway", "true")
	}
	for name, values := range a.values {
		v[name] = values
	}
	return v
}

func (s subject) details(v url.Values) {
	p := s.person
	for name, value := range map[string]string{
		"name.title": p.Name.Title, "name.given": p.Name.Given, "name.middle": p.Name.Middle, "name.family": p.Name.Family, "name.display": p.Name.Display,
		"email": p.Email, "mobile": p.Mobile, "ni_number": p.NINumber,
		"professional.gmc_id": p.Professional.GMC, "professional.nmc_id": p.Professional.NMC, "professional.gdc_id": p.Professional.GDC,
		"professional.gphc_id": p.Professional.GPhC, "professional.gmp_id": p.Professional.GMP, "professional.gdp_id": p.Professional.GDP,
		"professional.rcn_id": p.Professional.RCN, "professional.consultant_id": p.Professional.Consultant,
	} {
		v.Set(name, value)
	}
}

// workOf are the values of a position.
func workOf(v url.Values, pos directory.Position) {
	v.Set("organisation", pos.Organisation)
	v.Set("role_code", pos.RoleCode)
	v.Set("role_name", pos.RoleName)
	v.Set("from", string(pos.From))
	v.Set("to", string(pos.To))
	for name, list := range map[string][]directory.Coded{"activities": pos.Activities, "areas_of_work": pos.AreasOfWork, "workgroups": pos.Workgroups} {
		var text []string
		for _, c := range list {
			text = append(text, strings.TrimSuffix(c.Code+", "+c.Name, ", "))
		}
		v.Set(name, strings.Join(text, "\n"))
	}
}

// roleName is the last part of a role's name, or its code: names come as
// "Clinical":"Clinical Provision":"Nurse Access Role".
func roleName(name, code string) string {
	if name == "" {
		return code
	}
	parts := strings.Split(name, ":")
	last := parts[len(parts)-1]
	if plain, err := strconv.Unquote(last); err == nil {
		return plain
	}
	return strings.Trim(last, `"`)
}
