package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// personColumns are what a person is to the rules, from people p. All of it
// comes with one statement, so that its parts are of one instant. What the
// release before has no column for is asked of the row as JSON, where it is
// null.
var personColumns = columnsWith("")

// columnsWith returns personColumns with more of each position s.
func columnsWith(more string) string {
	return `
	p.uid, p.title, p.given, p.middle, p.family, p.display, p.email, p.identity_assurance, p.profile, p.professional,
	(SELECT json_agg(json_build_object('id', s.id, 'org_person_id', s.org_person_id,
			'organisation', s.organisation, 'organisation_name', o.name, 'role_code', s.role_code, 'role_name', s.role_name,
			'activities', s.activities, 'areas_of_work', s.areas_of_work, 'workgroups', s.workgroups,
			'first_day', s.first_day, 'last_day', s.last_day` + more + `) ORDER BY s.place)
		FROM positions s JOIN organisations o ON o.code = s.organisation WHERE s.uid = p.uid),
	(SELECT json_agg(json_build_object('org_person_id', m.org_person_id,
			'organisation', m.organisation, 'organisation_name', o.name, 'gnc', m.gnc) ORDER BY m.place)
		FROM memberships m JOIN organisations o ON o.code = m.organisation WHERE m.uid = p.uid),
	p.signed_out_at,
	(SELECT json_object_agg(called, usable) FROM (
		SELECT kind || ':' || id AS called, state = 'active' AS usable FROM authenticators WHERE uid = p.uid
		UNION ALL
		SELECT 'card:' || serial, bool_or(state = 'active') FROM cards WHERE uid = p.uid AND registered GROUP BY serial) AS held),
	coalesce(to_jsonb(p) ->> 'robot_owner', ''), coalesce(to_jsonb(p) ->> 'robot_until', '')`
}

// personRow is what personColumns are read into.
type personRow struct {
	person       directory.Person
	professional idp.Professional
	positions    []positionRow
	memberships  []membershipRow
	signedOut    *time.Time
	holds        map[string]bool
}

type positionRow struct {
	ID               string   `json:"id"`
	OrgPersonID      string   `json:"org_person_id"`
	Organisation     string   `json:"organisation"`
	OrganisationName string   `json:"organisation_name"`
	RoleCode         string   `json:"role_code"`
	RoleName         string   `json:"role_name"`
	Activities       []coded  `json:"activities"`
	AreasOfWork      []coded  `json:"areas_of_work"`
	Workgroups       []coded  `json:"workgroups"`
	First            idp.Date `json:"first_day"`
	Last             idp.Date `json:"last_day"`
	Reason           string   `json:"reason"`
}

type membershipRow struct {
	OrgPersonID      string `json:"org_person_id"`
	Organisation     string `json:"organisation"`
	OrganisationName string `json:"organisation_name"`
	GNC              string `json:"gnc"`
}

// coded is a directory.Coded as JSON.
type coded struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// into returns where personColumns go.
func (r *personRow) into() []any {
	p, n := &r.person, &r.person.Name
	return []any{&p.UID, &n.Title, &n.Given, &n.Middle, &n.Family, &n.Display, &p.Email, &p.IdentityAssurance, &p.Profile,
		&r.professional, &r.positions, &r.memberships, &r.signedOut, &r.holds, &p.Robot.Owner, &p.Robot.Until}
}

// idp returns the person as the rules know them.
func (r *personRow) idp() idp.Person {
	p := r.document().IDP(r.organisations())
	p.Holds = r.holds
	if r.signedOut != nil {
		p.SignedOutAt = r.signedOut.UTC()
	}
	return p
}

// document returns the person as a directory document has them.
func (r *personRow) document() directory.Person {
	p := r.person
	p.Professional = directory.Professional(r.professional)
	for _, s := range r.positions {
		p.Positions = append(p.Positions, directory.Position{
			ID: s.ID, OrgPersonID: s.OrgPersonID, Organisation: s.Organisation, RoleCode: s.RoleCode, RoleName: s.RoleName,
			Activities: decoded(s.Activities), AreasOfWork: decoded(s.AreasOfWork), Workgroups: decoded(s.Workgroups),
			From: s.First, To: s.Last, Reason: s.Reason,
		})
	}
	for _, m := range r.memberships {
		p.Memberships = append(p.Memberships, directory.Membership{
			OrgPersonID: m.OrgPersonID, Organisation: m.Organisation, GNC: m.GNC,
		})
	}
	return p
}

// organisations returns those of the person by their code.
func (r *personRow) organisations() map[string]idp.Organisation {
	orgs := map[string]idp.Organisation{}
	for _, s := range r.positions {
		orgs[s.Organisation] = idp.Organisation{Code: s.Organisation, Name: s.OrganisationName}
	}
	for _, m := range r.memberships {
		orgs[m.Organisation] = idp.Organisation{Code: m.Organisation, Name: m.OrganisationName}
	}
	return orgs
}

func decoded(codes []coded) []directory.Coded {
	var out []directory.Coded
	for _, c := range codes {
		out = append(out, directory.Coded(c))
	}
	return out
}

// Person implements idp.People.
func (s *Store) Person(ctx context.Context, uid string) (idp.Person, error) {
	if !idp.IsUID(uid) {
		return idp.Person{}, idp.ErrNotFound
	}
	p, err := s.people.get(ctx, uid)
	if err != nil {
		return idp.Person{}, err
	}
	return clonePerson(p), nil
}

// PersonNow implements idp.People.
func (s *Store) PersonNow(ctx context.Context, uid string) (idp.Person, error) {
	if !idp.IsUID(uid) {
		return idp.Person{}, idp.ErrNotFound
	}
	ctx, cancel := within(ctx)
	defer cancel()
	p, err := s.loadPerson(ctx, uid)
	return p, outage(err)
}

// loadPerson asks PostgreSQL for a person.
func (s *Store) loadPerson(ctx context.Context, uid string) (idp.Person, error) {
	var r personRow
	err := s.pool.QueryRow(ctx, "SELECT "+personColumns+" FROM people p WHERE p.uid = $1", uid).Scan(r.into()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return idp.Person{}, idp.ErrNotFound
	}
	if err != nil {
		return idp.Person{}, fmt.Errorf("person %s: %w", uid, err)
	}
	return r.idp(), nil
}

// clonePerson returns a copy of p that shares nothing with it that could
// change.
func clonePerson(p idp.Person) idp.Person {
	p.Professional = maps.Clone(p.Professional)
	p.Holds = maps.Clone(p.Holds)
	p.Memberships = slices.Clone(p.Memberships)
	p.Positions = slices.Clone(p.Positions)
	for i := range p.Positions {
		pos := &p.Positions[i]
		pos.Activities = slices.Clone(pos.Activities)
		pos.AreasOfWork = slices.Clone(pos.AreasOfWork)
		pos.Workgroups = slices.Clone(pos.Workgroups)
	}
	return p
}
