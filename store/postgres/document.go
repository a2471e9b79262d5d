package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Document returns the registry as a directory document, as it was at one
// instant. Its order is that of the identifiers, whatever database it comes
// from, so a difference is a change; the parts of a person, and the rules of
// the policy, are in the order in which they were given.
func (s *Store) Document(ctx context.Context) (directory.Document, error) {
	var d directory.Document
	ctx, cancel := context.WithTimeout(ctx, bulk)
	defer cancel()
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var err error
		if d.Policy, err = readPolicy(ctx, tx); err != nil {
			return err
		}
		if d.Organisations, err = all(ctx, tx, organisationSQL+` ORDER BY code COLLATE "C"`, readOrganisation); err != nil {
			return err
		}
		kept, err := all(ctx, tx, "SELECT "+keptColumns+" FROM people p ORDER BY p.uid", s.readKept)
		if err != nil {
			return err
		}
		for _, p := range kept {
			d.People = append(d.People, p.Person)
		}
		d.Clients, err = all(ctx, tx, "SELECT "+strings.Join(clientColumns, ", ")+` FROM clients ORDER BY id COLLATE "C"`, readClient)
		return err
	})
	if err != nil {
		return directory.Document{}, outage(fmt.Errorf("export the directory: %w", err))
	}
	return d, nil
}

// all returns what read makes of every row; none are nil.
func all[T any](ctx context.Context, tx pgx.Tx, sql string, read func(pgx.Row) (T, error)) ([]T, error) {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.AppendRows([]T(nil), rows, func(row pgx.CollectableRow) (T, error) { return read(row) })
}

// dayText is a date as 2006-01-02, whatever style the database is set to, and
// empty where it is open.
func dayText(column string) string {
	return "coalesce(to_char(" + column + ", 'YYYY-MM-DD'), '')"
}

func readPolicy(ctx context.Context, tx pgx.Tx) (p directory.Policy, err error) {
	err = tx.QueryRow(ctx, "SELECT (SELECT warn_days FROM policy)").Scan(&p.WarnDays)
	if err != nil {
		return p, err
	}
	p.WarnDays = orNil(p.WarnDays)
	p.CardSeries, err = all(ctx, tx, "SELECT series, "+dayText("blocked_from")+", legacy_gateway FROM card_series ORDER BY place",
		func(row pgx.Row) (r directory.SeriesRule, err error) {
			err = row.Scan(&r.Series, &r.BlockedFrom, &r.LegacyGateway)
			return r, err
		})
	if err != nil {
		return p, err
	}
	p.Agents, err = all(ctx, tx, "SELECT product, excepted, below, "+dayText("blocked_from")+" FROM agent_rules ORDER BY place",
		func(row pgx.Row) (r directory.AgentRule, err error) {
			err = row.Scan(&r.Product, &r.Except, &r.Below, &r.BlockedFrom)
			return r, err
		})
	return p, err
}

// organisationSQL asks for organisations.
var organisationSQL = "SELECT code, name, parent, " + dayText("closed_on") + ", successor FROM organisations"

func readOrganisation(row pgx.Row) (o directory.Organisation, err error) {
	err = row.Scan(&o.Code, &o.Name, &o.Parent, &o.ClosedOn, &o.Successor)
	return o, err
}

// keptColumns are all that is kept of a person, from people p.
var keptColumns = columnsWith(", 'reason', coalesce(to_jsonb(s) ->> 'reason', '')") + `, p.mobile, p.ni_number,
	coalesce(to_jsonb(p) ->> 'merged_into', ''), (to_jsonb(p) ->> 'added_at')::timestamptz,
	(SELECT json_agg(json_build_object('issuer', c.issuer, 'written', c.written, 'series', c.series, 'state', c.state,
		'registered', c.registered, 'ends_on', coalesce(to_jsonb(c) ->> 'ends_on', ''), 'certificate', to_jsonb(c) ->> 'certificate',
		'key', coalesce(to_jsonb(c) ->> 'key_hash', ''), 'added_at', to_jsonb(c) -> 'added_at', 'revoked_at', to_jsonb(c) -> 'revoked_at') ORDER BY c.place, c.serial)
		FROM cards c WHERE c.uid = p.uid),
	(SELECT json_agg(json_build_object('id', a.id, 'kind', a.kind, 'handle', a.handle, 'name', a.name, 'model', a.model,
		'method', a.method, 'level', a.level, 'state', a.state, 'self_claimed', a.self_claimed,
		'added_at', (extract(epoch FROM a.added_at) * 1000000)::bigint, 'record', a.record, 'mark', u.mark)
		ORDER BY a.added_at, a.id COLLATE "C")` + heldFrom + `WHERE a.uid = p.uid)`

// readKept reads a whole person.
func (s *Store) readKept(row pgx.Row) (registry.Person, error) {
	var (
		r      personRow
		kept   registry.Person
		mobile string
		sealed []byte
		merged string
		added  *time.Time
		cards  []struct {
			Issuer     string              `json:"issuer"`
			Written    string              `json:"written"`
			Series     int                 `json:"series"`
			State      directory.CardState `json:"state"`
			Registered bool                `json:"registered"`
			EndsOn     idp.Date            `json:"ends_on"`

			Certificate []byte     `json:"certificate"` // as JSON has bytes: base64
			Key         string     `json:"key"`
			AddedAt     *time.Time `json:"added_at"`
			RevokedAt   *time.Time `json:"revoked_at"`
		}
		held []heldRow
	)
	if err := row.Scan(append(r.into(), &mobile, &sealed, &merged, &added, &cards, &held)...); err != nil {
		return kept, err
	}
	p := r.document()
	p.Mobile, p.MergedInto = mobile, merged
	kept.AddedAt, kept.Issuers, kept.Issued = zero(added), map[string]string{}, map[string]registry.Issued{}
	for _, c := range cards {
		kept.Issuers[c.Written] = c.Issuer
		kept.Issued[c.Written] = registry.Issued{Certificate: c.Certificate, Key: c.Key, AddedAt: zero(c.AddedAt), RevokedAt: zero(c.RevokedAt)}
		p.Cards = append(p.Cards, directory.Card{
			Serial: c.Written, Series: c.Series, State: c.State, Registered: c.Registered, EndsOn: c.EndsOn,
			Certificate: "valid", TriesLeft: 3, // what a document means that does not say
		})
	}
	for _, a := range held {
		p.Authenticators = append(p.Authenticators, a.document())
	}
	kept.ETag = tagOf(p, sealed)
	var err error
	p.NINumber, err = s.unsealNI(p.UID, sealed)
	kept.Person = p
	return kept, err
}

// tagOf names what p is. A sealed number stands for itself: of the number its
// name could be guessed.
func tagOf(p directory.Person, sealed []byte) string {
	h := sha256.New()
	for _, a := range p.Authenticators {
		_, _ = fmt.Fprintf(h, "%q %q %q %q %d\n", a.ID, a.Name, a.State, a.Method, a.Level)
	}
	p.Authenticators = nil // what signing in leaves there is no change
	_, _ = fmt.Fprintf(h, "%#v %x", p, sealed)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// heldRow is an authenticator as one row of its person has it.
type heldRow struct {
	ID          string                `json:"id"`
	Kind        authenticators.Kind   `json:"kind"`
	Handle      string                `json:"handle"`
	Name        string                `json:"name"`
	Model       string                `json:"model"`
	Method      authenticators.Method `json:"method"`
	Level       authenticators.Level  `json:"level"`
	State       authenticators.State  `json:"state"`
	SelfClaimed bool                  `json:"self_claimed"`
	AddedAt     int64                 `json:"added_at"` // microseconds
	Record      json.RawMessage       `json:"record"`
	Mark        json.RawMessage       `json:"mark"`
}

func (r heldRow) document() directory.Authenticator {
	text := func(v json.RawMessage) json.RawMessage {
		if jsonText(v) == nil {
			return nil
		}
		return v
	}
	return directory.AuthenticatorOf(authenticators.Authenticator{
		ID: r.ID, Kind: r.Kind, Handle: r.Handle, Name: r.Name, Model: r.Model, Method: r.Method, Level: r.Level, State: r.State,
		SelfClaimed: r.SelfClaimed, AddedAt: time.UnixMicro(r.AddedAt), Record: text(r.Record), Mark: text(r.Mark),
	})
}
