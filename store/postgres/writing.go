package postgres

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// writing is one change of the registry: what was read, and what it is now.
// Only what is different is written.
type writing struct {
	store *Store
	was   registry.Records
	now   registry.Records

	cards []string // names of those that were written, as the schema notifies them
}

// before keeps what was read, and a copy of it that may be changed.
func (w *writing) before(read registry.Records) {
	w.was, w.now, w.cards = read, read, nil
	w.now.Managed = map[registry.Name]bool{}
	w.now.People = copied(read.People, func(p registry.Person) registry.Person {
		p.Person = directory.Document{People: []directory.Person{p.Person}}.Clone().People[0]
		p.Issuers, p.Issued = maps.Clone(p.Issuers), maps.Clone(p.Issued)
		return p
	})
	w.now.Organisations = copied(read.Organisations, func(o directory.Organisation) directory.Organisation { return o })
	w.now.Clients = copied(read.Clients, func(c directory.Client) directory.Client {
		return directory.Document{Clients: []directory.Client{c}}.Clone().Clients[0]
	})
	w.now.Requests = copied(read.Requests, func(q registry.Request) registry.Request {
		q.Change = bytes.Clone(q.Change)
		return q
	})
	w.now.Applicants = copied(read.Applicants, func(a registry.Applicant) registry.Applicant { return a })
	if read.Policy != nil {
		p := directory.Document{Policy: *read.Policy}.Clone().Policy
		w.now.Policy = &p
	}
}

// restored puts back into now what was there and was taken out: nobody and
// nothing is ever taken out.
func restored[K comparable, V any](was, now map[K]*V) {
	for k, v := range was {
		if now[k] == nil {
			now[k] = v
		}
	}
}

func copied[K comparable, V any](of map[K]*V, clone func(V) V) map[K]*V {
	out := make(map[K]*V, len(of))
	for k, v := range of {
		c := clone(*v)
		out[k] = &c
	}
	return out
}

// write writes what is different. What others refer to comes first, and what
// sign-ins wait for comes last.
func (w *writing) write(ctx context.Context, tx pgx.Tx, at time.Time) error {
	restored(w.was.People, w.now.People)
	restored(w.was.Organisations, w.now.Organisations)
	restored(w.was.Clients, w.now.Clients)
	restored(w.was.Requests, w.now.Requests)
	restored(w.was.Applicants, w.now.Applicants)
	for _, step := range []func(context.Context, pgx.Tx, time.Time) error{
		w.organisations, w.people, w.positions, w.memberships, w.clients, w.policy, w.requests, w.applicants, w.codes, w.managed,
		w.cardsOf, w.authenticators,
	} {
		if err := step(ctx, tx, at); err != nil {
			return err
		}
	}
	return nil
}

// organisations writes them, those above others first.
func (w *writing) organisations(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("organisations", 1, "code", "name", "parent", "closed_on", "successor")
	for _, o := range w.was.Organisations {
		r.had(o.Code, o.Name, o.Parent, day(o.ClosedOn), o.Successor)
	}
	for _, code := range slices.Sorted(maps.Keys(w.now.Organisations)) {
		o := w.now.Organisations[code]
		if err := r.has(o.Code, o.Name, o.Parent, day(o.ClosedOn), o.Successor); err != nil {
			return err
		}
	}
	return r.write(ctx, tx)
}

func (w *writing) people(ctx context.Context, tx pgx.Tx, at time.Time) error {
	r := rowsIn("people", 1, "uid", "title", "given", "middle", "family", "display", "mobile", "identity_assurance", "profile",
		"professional", "robot_owner", "robot_until", "merged_into", "email", "ni_number", "added_at")
	row := func(p *registry.Person, ni []byte) []any {
		return []any{p.UID, p.Name.Title, p.Name.Given, p.Name.Middle, p.Name.Family, p.Name.Display, p.Mobile, p.IdentityAssurance,
			string(p.Profile), idp.Professional(p.Professional), p.Robot.Owner, day(p.Robot.Until), p.MergedInto, p.Email, ni, none(p.AddedAt)}
	}
	var moved []string // whose address is another one now
	for uid, p := range w.was.People {
		r.had(row(p, nil)...)
		if now := w.now.People[uid]; now != nil && p.Email != "" && idp.EmailKey(now.Email) != idp.EmailKey(p.Email) {
			moved = append(moved, uid)
		}
	}
	for _, uid := range w.uids() {
		p := w.now.People[uid]
		was, known := w.was.People[uid]
		if !known && p.AddedAt.IsZero() {
			p.AddedAt = at
		}
		var (
			sealed []byte
			err    error
		)
		if !known || was.NINumber != p.NINumber {
			if sealed, err = w.store.sealNI(uid, p.NINumber); err != nil {
				return err
			}
			if known { // none was read into its row, so whatever it is now is different
				r.were[r.key([]any{uid})][slices.Index(r.columns, "ni_number")] = []byte("another")
			}
		}
		if err := r.has(row(p, sealed)...); err != nil {
			return err
		}
	}
	// An address that one gives up and another gets is nobody's in between.
	if slices.Sort(moved); len(moved) > 0 && len(w.now.People) > 1 {
		if _, err := tx.Exec(ctx, "UPDATE people SET email = '' WHERE uid = ANY ($1)", moved); err != nil {
			return err
		}
	}
	if err := r.write(ctx, tx); err != nil {
		return err
	}
	for _, uid := range w.uids() {
		if out := w.now.People[uid].SignedOutAt; !out.IsZero() {
			if _, err := tx.Exec(ctx, "UPDATE people SET signed_out_at = greatest(signed_out_at, $2) WHERE uid = $1", uid, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writing) positions(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("positions", 1, "id", "uid", "place", "org_person_id", "organisation", "role_code", "role_name", "activities",
		"areas_of_work", "workgroups", "first_day", "last_day", "reason")
	row := func(uid string, place int, s directory.Position) []any {
		return []any{s.ID, uid, place, s.OrgPersonID, s.Organisation, s.RoleCode, s.RoleName, encoded(s.Activities),
			encoded(s.AreasOfWork), encoded(s.Workgroups), day(s.From), day(s.To), s.Reason}
	}
	for uid, p := range w.was.People {
		for i, s := range p.Positions {
			r.had(row(uid, i, s)...)
		}
	}
	for _, uid := range w.uids() {
		for i, s := range w.now.People[uid].Positions {
			if err := r.has(row(uid, i, s)...); err != nil {
				return err
			}
		}
	}
	return r.write(ctx, tx)
}

func (w *writing) memberships(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("memberships", 2, "uid", "place", "org_person_id", "organisation", "gnc")
	for uid, p := range w.was.People {
		for i, m := range p.Memberships {
			r.had(uid, i, m.OrgPersonID, m.Organisation, m.GNC)
		}
	}
	for _, uid := range w.uids() {
		for i, m := range w.now.People[uid].Memberships {
			if err := r.has(uid, i, m.OrgPersonID, m.Organisation, m.GNC); err != nil {
				return err
			}
		}
	}
	return r.write(ctx, tx)
}

// cardsOf writes the cards. What a card's holder stops meanwhile stays stopped.
func (w *writing) cardsOf(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("cards", 2, "issuer", "serial", "written", "uid", "place", "series", "state", "registered", "ends_on",
		"certificate", "key_hash", "added_at", "revoked_at")
	r.guard = []string{"uid", "state", "registered"}
	row := func(p *registry.Person, place int, c directory.Card) ([]any, error) {
		serial := directory.CardSerial(c.Serial)
		if serial == "" {
			return nil, fmt.Errorf("%q of %s is no serial number of a card", c.Serial, p.UID)
		}
		issuer := p.Issuers[c.Serial]
		if issuer == "" {
			issuer = w.store.cardIssuer
		}
		kept := p.Issued[c.Serial]
		return []any{issuer, serial, c.Serial, p.UID, place, c.Series, string(c.State), c.Registered, day(c.EndsOn),
			textOrNull(base64.StdEncoding.EncodeToString(kept.Certificate)), textOrNull(kept.Key), timeOrNull(kept.AddedAt), timeOrNull(kept.RevokedAt)}, nil
	}
	for _, p := range w.was.People {
		for i, c := range p.Cards {
			if was, err := row(p, i, c); err == nil {
				r.had(was...)
			}
		}
	}
	for _, uid := range w.uids() {
		p := w.now.People[uid]
		for i, c := range p.Cards {
			is, err := row(p, i, c)
			if err == nil {
				err = r.has(is...)
			}
			if err != nil {
				return err
			}
			w.cards = append(w.cards, fmt.Sprint(is[0], " ", is[1]))
		}
	}
	return r.write(ctx, tx)
}

// textOrNull and timeOrNull are null where there is nothing.
func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// authenticators writes what people hold beside their cards. What is compared
// at a sign-in is written with a new one and never again.
func (w *writing) authenticators(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("authenticators", 1, "id", "uid", "kind", "handle", "name", "model", "method", "level", "state", "self_claimed",
		"added_at", "record")
	r.guard = []string{"uid", "name", "method", "level", "state"}
	uses := rowsIn("authenticator_uses", 1, "id", "mark")
	row := func(uid string, d directory.Authenticator) []any {
		a := d.Held(uid)
		return []any{a.ID, uid, string(a.Kind), a.Handle, a.Name, a.Model, string(a.Method), int(a.Level), string(a.State),
			a.SelfClaimed, a.AddedAt, jsonText(a.Record)}
	}
	for uid, p := range w.was.People {
		for _, a := range p.Authenticators {
			r.had(row(uid, a)...)
		}
	}
	for _, uid := range w.uids() {
		for _, a := range w.now.People[uid].Authenticators {
			is := row(uid, a)
			if err := r.has(is...); err != nil {
				return err
			}
			if mark := jsonText(a.Held(uid).Mark); mark != nil && r.were[r.key(is)] == nil {
				if err := uses.has(a.ID, mark); err != nil {
					return err
				}
			}
		}
	}
	if err := r.write(ctx, tx); err != nil {
		return err
	}
	return uses.write(ctx, tx)
}

func (w *writing) clients(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("clients", 1, clientColumns...)
	list := func(of map[string]*directory.Client) [][]any {
		var d directory.Document
		for _, id := range slices.Sorted(maps.Keys(of)) {
			d.Clients = append(d.Clients, *of[id])
		}
		return clientTable(d).rows
	}
	for _, row := range list(w.was.Clients) {
		r.had(row...)
	}
	for _, row := range list(w.now.Clients) {
		if err := r.has(row...); err != nil {
			return err
		}
	}
	return r.write(ctx, tx)
}

// policy writes the policy anew if any of it is different: its rules have an
// order, and no names.
func (w *writing) policy(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	if w.now.Policy == nil || w.was.Policy != nil && reflect.DeepEqual(*w.was.Policy, *w.now.Policy) {
		return nil
	}
	if w.was.Policy == nil {
		return errors.New("the policy was not asked for")
	}
	doc := directory.Document{Policy: *w.now.Policy}
	if _, err := tx.Exec(ctx, "INSERT INTO policy (warn_days) VALUES ($1) ON CONFLICT (one) DO UPDATE SET warn_days = excluded.warn_days",
		numbers(doc.Policy.WarnDays)); err != nil {
		return err
	}
	for _, t := range []table{seriesTable(doc), agentTable(doc)} {
		if _, err := tx.Exec(ctx, "DELETE FROM "+t.name); err != nil {
			return err
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) requests(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("requests", 1, "id", "kind", "sealed", "asked_by", "asked_at", "until", "uid", "organisation", "state", "decided_by", "reason")
	row := func(q *registry.Request, sealed []byte) []any {
		return []any{q.ID, string(q.Kind), sealed, q.AskedBy, q.AskedAt, q.Until, q.UID, q.At, q.State, q.By, q.Reason}
	}
	for _, q := range w.was.Requests {
		r.had(row(q, nil)...)
	}
	for _, id := range slices.Sorted(maps.Keys(w.now.Requests)) {
		q := w.now.Requests[id]
		var sealed []byte // nil, as it was read: what was asked for does not change
		if w.was.Requests[id] == nil {
			if w.store.seal == nil {
				return errors.New("requests cannot be kept without a key to seal them with")
			}
			var err error
			if sealed, err = w.store.seal.Seal(q.Change, requestOf(id)); err != nil {
				return fmt.Errorf("seal a request: %w", err)
			}
		}
		if err := r.has(row(q, sealed)...); err != nil {
			return err
		}
	}
	return r.write(ctx, tx)
}

func (w *writing) managed(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	for managed, sql := range map[bool]string{
		true:  "INSERT INTO managed (kind, name) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
		false: "DELETE FROM managed WHERE (kind, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
	} {
		var kinds, names []string
		for n, is := range w.now.Managed {
			if is == managed {
				kinds, names = append(kinds, n.Kind), append(names, n.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, sql, kinds, names); err != nil {
			return err
		}
	}
	return nil
}
