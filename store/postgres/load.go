package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// bulk is how long a whole directory may take to come or go.
const bulk = 10 * time.Minute

// ErrNotEmpty is of a registry that knows somebody already.
var ErrNotEmpty = errors.New("the registry is not empty")

// table is what goes into one table.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

func (t *table) add(row ...any) { t.rows = append(t.rows, row) }

// Load puts doc into an empty registry, all of it or nothing: ErrNotEmpty if
// there is anything. cardIssuer is the upper-case hex SHA-256 of the public key
// of the authority that issued its cards. What a document says of virtual cards
// (passcodes, tries, certificates) is of development and is left out.
func (s *Store) Load(ctx context.Context, doc directory.Document, cardIssuer string) error {
	people, err := s.peopleTables(doc, cardIssuer)
	if err == nil {
		err = oneEach(doc.People)
	}
	if err != nil {
		return fmt.Errorf("load the directory: %w", err)
	}
	tables := append([]table{organisationTable(doc)}, people...) // what others refer to comes first
	tables = append(tables, clientTable(doc), seriesTable(doc), agentTable(doc))

	ctx, cancel := context.WithTimeout(ctx, bulk)
	defer cancel()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// The one row of policy can be made once, so of two who load at the
		// same instant one finds the other's.
		first, err := tx.Exec(ctx, `INSERT INTO policy (warn_days) SELECT $1::int[]
			WHERE NOT EXISTS (SELECT FROM organisations) AND NOT EXISTS (SELECT FROM people) AND NOT EXISTS (SELECT FROM clients)
			AND NOT EXISTS (SELECT FROM card_series) AND NOT EXISTS (SELECT FROM agent_rules)
			ON CONFLICT DO NOTHING`, numbers(doc.Policy.WarnDays))
		if err != nil {
			return err
		}
		if first.RowsAffected() == 0 {
			return ErrNotEmpty
		}
		for _, t := range tables {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return outage(fmt.Errorf("load the directory: %w", err))
	}
	return nil
}

// oneEach says whose e-mail is another's too: it is a name to sign in with, so
// in a registry that lasts it is one person's.
func oneEach(people []directory.Person) error {
	whose := map[string]string{}
	for _, p := range people {
		key := idp.EmailKey(p.Email)
		if other, taken := whose[key]; taken && key != "" {
			return fmt.Errorf("the people %s and %s have the same e-mail", other, p.UID)
		}
		whose[key] = p.UID
	}
	return nil
}

func organisationTable(doc directory.Document) table {
	t := table{name: "organisations", columns: []string{"code", "name", "parent", "closed_on", "successor"}}
	for _, o := range doc.Organisations {
		t.add(o.Code, o.Name, o.Parent, day(o.ClosedOn), o.Successor)
	}
	return t
}

// peopleTables returns people and what belongs to them.
func (s *Store) peopleTables(doc directory.Document, cardIssuer string) ([]table, error) {
	people := table{name: "people", columns: []string{"uid", "title", "given", "middle", "family", "display",
		"email", "mobile", "ni_number", "identity_assurance", "profile", "professional", "robot_owner", "robot_until", "merged_into"}}
	positions := table{name: "positions", columns: []string{"id", "uid", "place", "org_person_id", "organisation",
		"role_code", "role_name", "activities", "areas_of_work", "workgroups", "first_day", "last_day", "reason"}}
	memberships := table{name: "memberships", columns: []string{"uid", "place", "org_person_id", "organisation", "gnc"}}
	cards := table{name: "cards", columns: []string{"issuer", "serial", "written", "uid", "place", "series", "state", "registered", "ends_on"}}
	held := table{name: "authenticators", columns: []string{"id", "uid", "kind", "handle", "name", "model", "method", "level",
		"state", "self_claimed", "added_at", "record"}}
	uses := table{name: "authenticator_uses", columns: []string{"id", "mark"}}
	for _, p := range doc.People {
		ni, err := s.sealNI(p.UID, p.NINumber)
		if err != nil {
			return nil, err
		}
		people.add(p.UID, p.Name.Title, p.Name.Given, p.Name.Middle, p.Name.Family, p.Name.Display,
			p.Email, p.Mobile, ni, p.IdentityAssurance, string(p.Profile), idp.Professional(p.Professional),
			p.Robot.Owner, day(p.Robot.Until), p.MergedInto)
		for i, pos := range p.Positions {
			positions.add(pos.ID, p.UID, i, pos.OrgPersonID, pos.Organisation, pos.RoleCode, pos.RoleName,
				encoded(pos.Activities), encoded(pos.AreasOfWork), encoded(pos.Workgroups), day(pos.From), day(pos.To), pos.Reason)
		}
		for i, m := range p.Memberships {
			memberships.add(p.UID, i, m.OrgPersonID, m.Organisation, m.GNC)
		}
		for i, c := range p.Cards {
			serial := directory.CardSerial(c.Serial)
			if serial == "" {
				return nil, fmt.Errorf("%q of %s is no serial number of a card", c.Serial, p.UID)
			}
			cards.add(cardIssuer, serial, c.Serial, p.UID, i, c.Series, string(c.State), c.Registered, day(c.EndsOn))
		}
		for _, d := range p.Authenticators {
			a := d.Held(p.UID)
			held.add(a.ID, a.Subject, string(a.Kind), a.Handle, a.Name, a.Model, string(a.Method), int(a.Level),
				string(a.State), a.SelfClaimed, a.AddedAt, jsonText(a.Record))
			if mark := jsonText(a.Mark); mark != nil {
				uses.add(a.ID, mark)
			}
		}
	}
	return []table{people, positions, memberships, cards, held, uses}, nil
}

func clientTable(doc directory.Document) table {
	t := table{name: "clients", columns: clientColumns}
	for _, c := range doc.Clients {
		var jwks []byte
		if c.JWKS != "" {
			jwks = []byte(c.JWKS)
		}
		t.add(c.ID, c.Name, string(c.SecretHash), string(c.AuthMethod), c.JWKSURI, jwks,
			texts(c.AssertionAlgs), texts(c.AssertionAudiences), texts(c.RedirectURIs), texts(c.PostLogoutRedirectURIs),
			c.BackchannelLogoutURI, texts(c.Scopes), texts(c.Grants), texts(c.ResponseModes), c.IDTokenAlg, c.UserinfoAlg,
			c.RequirePKCE, string(c.ACRDefault), texts(c.ACRAllowed), c.MinLevel, c.RequiresRole, c.AcceptsUnverified, texts(c.ExchangeFrom))
	}
	return t
}

func seriesTable(doc directory.Document) table {
	t := table{name: "card_series", columns: []string{"series", "blocked_from", "legacy_gateway"}}
	for _, r := range doc.Policy.CardSeries {
		t.add(r.Series, day(r.BlockedFrom), r.LegacyGateway)
	}
	return t
}

func agentTable(doc directory.Document) table {
	t := table{name: "agent_rules", columns: []string{"product", "excepted", "below", "blocked_from"}}
	for _, r := range doc.Policy.Agents {
		t.add(r.Product, r.Except, r.Below, day(r.BlockedFrom))
	}
	return t
}

// sealNI returns an NI number as it is kept: for its person alone, so that it
// cannot be moved to another row.
func (s *Store) sealNI(uid, number string) ([]byte, error) {
	if number == "" {
		return nil, nil
	}
	if s.seal == nil {
		return nil, fmt.Errorf("the NI number of %s cannot be kept without a key to seal it with", uid)
	}
	sealed, err := s.seal.Seal([]byte(number), niOf(uid))
	if err != nil {
		return nil, fmt.Errorf("seal the NI number of %s: %w", uid, err)
	}
	return sealed, nil
}

func (s *Store) unsealNI(uid string, sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	if s.seal == nil {
		return "", fmt.Errorf("the NI number of %s cannot be read without the key it was sealed with", uid)
	}
	number, err := s.seal.Unseal(sealed, niOf(uid))
	if err != nil {
		return "", fmt.Errorf("unseal the NI number of %s: %w", uid, err)
	}
	return string(number), nil
}

// niOf is what an NI number is sealed for.
func niOf(uid string) []byte { return []byte("ni_number " + uid) }

// day returns d as a date, and null where it is open.
func day(d idp.Date) any {
	if d == "" {
		return nil
	}
	return string(d)
}

// encoded returns codes as JSON has them: none are an empty list.
func encoded(codes []directory.Coded) []coded {
	out := make([]coded, 0, len(codes))
	for _, c := range codes {
		out = append(out, coded(c))
	}
	return out
}

// texts returns words as an array of text: none are an empty one.
func texts[S ~string](words []S) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

// numbers returns ns as an array: none are an empty one.
func numbers(ns []int) []int { return append([]int{}, ns...) }
