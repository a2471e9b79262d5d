package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

var _ registry.Keeper = (*Store)(nil)

const (
	// mostTries is how often a change is tried that met another one half-way.
	mostTries = 5

	// slowness is how long a change may take beside what each name in it may.
	slowness     = 5 * time.Second
	slownessEach = 10 * time.Millisecond
)

// errMet is of a change that was decided on what somebody has changed
// meanwhile.
var errMet = errors.New("it was changed meanwhile")

// Change implements registry.Keeper.
//
// These changes wait for one another, so they have a chain of the journal to
// themselves: a sign-in must never wait for them, nor they for a sign-in that
// waits for what they hold.
func (s *Store) Change(ctx context.Context, t registry.Touch, decide func(*registry.Records) (idp.Act, error)) error {
	var err error
	for range mostTries {
		var w *writing
		w, err = s.changeOnce(ctx, t, decide)
		for _, uid := range w.uids() { // others hear it; who changed it reads it at once
			s.people.drop(uid)
		}
		if err == nil {
			s.forget(w)
		}
		if !meets(err) {
			return behind(err)
		}
	}
	return fmt.Errorf("%w: a change of the registry: %w", idp.ErrUnavailable, err)
}

func (s *Store) changeOnce(ctx context.Context, t registry.Touch, decide func(*registry.Records) (idp.Act, error)) (*writing, error) {
	w := &writing{store: s}
	n := &entry{at: s.now(), limit: slowness + slownessEach*time.Duration(namesIn(t))}
	n.change = func(ctx context.Context, tx pgx.Tx) error {
		read, err := s.lock(ctx, tx, t)
		if err != nil {
			return refusal(err)
		}
		w.before(read)
		act, err := decide(&w.now)
		if err != nil {
			return err
		}
		for _, end := range w.now.Ends {
			act.Fences = append(act.Fences, end.Over()...)
		}
		mails, err := s.sealMails(append(act.Mails, w.now.Mails...))
		if err != nil {
			return err
		}
		if err := n.fill(act.Event, act.Fences); err != nil {
			return err
		}
		n.beside = nil
		for _, e := range w.now.Events {
			b := &entry{}
			if err := b.fill(e, nil); err != nil {
				return err
			}
			n.beside = append(n.beside, b)
		}
		if err := w.write(ctx, tx, act.Event.At); err != nil {
			return refusal(err)
		}
		return post(ctx, tx, act.Event.At, mails)
	}
	return w, s.changes.enter(ctx, n)
}

// forget drops what this server remembers of what was written.
func (s *Store) forget(w *writing) {
	for id := range w.now.Clients {
		s.clients.drop(id)
	}
	if w.now.Policy != nil {
		s.policy.drop(onlyPolicy)
	}
	for _, name := range w.cards {
		s.cards.drop(name)
	}
	if len(w.now.Organisations) > 0 {
		s.people.drop("")
	}
}

func namesIn(t registry.Touch) int {
	return len(t.People) + len(t.Organisations) + len(t.Clients) + len(t.Cards) + len(t.Positions) + len(t.Applicants)
}

// meets says whether err is of two changes that met, and that one of them is
// to be tried again.
func meets(err error) bool {
	const deadlock, serialization = "40P01", "40001"
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, errMet) || ok && (answer.Code == deadlock || answer.Code == serialization)
}

// behind returns as idp.ErrUnavailable that the schema is not this release's
// yet.
func behind(err error) error {
	const noTable, noColumn = "42P01", "42703"
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && (answer.Code == noTable || answer.Code == noColumn) {
		return fmt.Errorf("%w: the schema has to be migrated: %w", idp.ErrUnavailable, err)
	}
	return outage(err)
}

// Records implements registry.Keeper.
func (s *Store) Records(ctx context.Context, t registry.Touch) (registry.Records, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness+slownessEach*time.Duration(namesIn(t)))
	defer cancel()
	var r registry.Records
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		uids, err := peopleOf(ctx, tx, t)
		if err == nil {
			r, err = s.readRecords(ctx, tx, t, uids)
		}
		return err
	})
	if err != nil {
		return registry.Records{}, behind(fmt.Errorf("read the registry: %w", err))
	}
	return r, nil
}

// lock reads what t names, and keeps everybody else from changing it until tx
// ends. Rows are locked in one order, whoever comes, so that few wait for each
// other in a circle; sign-ins, which only refer to people, wait for nobody.
func (s *Store) lock(ctx context.Context, tx pgx.Tx, t registry.Touch) (registry.Records, error) {
	const (
		policyLock  = 0x4c59_0006 // whoever changes the policy holds it
		cardKeyLock = 0x4c59_0008 // with a key: whoever has a certificate issued for it
	)
	var none registry.Records
	if t.Policy {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", policyLock); err != nil {
			return none, err
		}
	}
	if t.CardKey != "" { // two who want a certificate for one key come one after the other
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, hashtext($2))", cardKeyLock, t.CardKey); err != nil {
			return none, err
		}
	}
	same, err := s.holdNumber(ctx, tx, t.NINumber)
	if err != nil {
		return none, err
	}
	if t.At != "" { // and nobody begins to work there
		if _, err := tx.Exec(ctx, "SELECT FROM organisations WHERE code = $1 FOR UPDATE", t.At); err != nil {
			return none, err
		}
	}
	if len(t.Organisations) > 0 {
		if _, err := tx.Exec(ctx, "SELECT FROM organisations WHERE code IN ("+aboveSQL+") ORDER BY code FOR SHARE", t.Organisations); err != nil {
			return none, err
		}
	}
	uids, err := peopleOf(ctx, tx, t)
	if err != nil {
		return none, err
	}
	for _, l := range []struct {
		sql   string
		names []string
	}{
		{"SELECT FROM people WHERE uid = ANY ($1) ORDER BY uid FOR NO KEY UPDATE", uids},
		{"SELECT FROM clients WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE", t.Clients},
		{"SELECT FROM requests WHERE id = ANY ($1) ORDER BY id FOR UPDATE", t.Requests},
	} {
		if len(l.names) == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, l.sql, l.names); err != nil {
			return none, err
		}
	}
	if err := lockApplicants(ctx, tx, t); err != nil {
		return none, err
	}
	// Who holds a card or a position may be another by now.
	again, err := peopleOf(ctx, tx, t)
	if err == nil && !slices.Equal(uids, again) {
		err = errMet
	}
	if err != nil {
		return none, err
	}
	r, err := s.readRecords(ctx, tx, t, uids)
	r.SameNumber = same
	return r, err
}

// aboveSQL are the codes $1 and those of the organisations above them.
const aboveSQL = `WITH RECURSIVE above AS (
	SELECT code, parent FROM organisations WHERE code = ANY ($1)
	UNION
	SELECT o.code, o.parent FROM organisations o JOIN above a ON o.code = a.parent
) SELECT code FROM above`

// peopleOf returns the uids of the people whom t names, by whatever, in order.
func peopleOf(ctx context.Context, tx pgx.Tx, t registry.Touch) ([]string, error) {
	uids := slices.Clone(t.People)
	if len(t.Cards)+len(t.Positions) > 0 || t.At != "" || t.CardKey != "" {
		var serials []string
		for _, c := range t.Cards {
			serials = append(serials, directory.CardSerial(c))
		}
		rows, err := tx.Query(ctx, `SELECT uid FROM cards WHERE serial = ANY ($1)
			UNION SELECT uid FROM positions WHERE id = ANY ($2) UNION SELECT uid FROM positions WHERE organisation = $3
			UNION SELECT uid FROM cards WHERE key_hash = $4 AND state <> 'revoked' UNION SELECT uid FROM cards WHERE key_hash = $4 AND state = 'revoked'`,
			serials, t.Positions, t.At, t.CardKey)
		if err != nil {
			return nil, err
		}
		more, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		uids = append(uids, more...)
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

// readRecords reads what t names, of people those with uids.
func (s *Store) readRecords(ctx context.Context, tx pgx.Tx, t registry.Touch, uids []string) (r registry.Records, err error) {
	r = registry.Records{People: map[string]*registry.Person{}, Organisations: map[string]*directory.Organisation{},
		Clients: map[string]*directory.Client{}, Requests: map[string]*registry.Request{}, Applicants: map[string]*registry.Applicant{}, Managed: map[registry.Name]bool{}}
	codes := slices.Clone(t.Organisations)
	if t.At != "" {
		codes = append(codes, t.At)
	}
	err = each(ctx, tx, uids, "SELECT "+keptColumns+" FROM people p WHERE p.uid = ANY ($1)", s.readKept,
		func(p *registry.Person) { r.People[p.UID] = p })
	for _, p := range r.People { // the right to change them is held where they work
		for _, pos := range p.Positions {
			codes = append(codes, pos.Organisation)
		}
	}
	invited, failed := s.applicants(ctx, tx, t, &r)
	codes = append(codes, invited...)
	slices.Sort(codes)
	codes = slices.Compact(codes)
	err = errors.Join(err, failed,
		each(ctx, tx, codes, organisationSQL+" WHERE code IN ("+aboveSQL+")", readOrganisation,
			func(o *directory.Organisation) { r.Organisations[o.Code] = o }),
		each(ctx, tx, t.Clients, "SELECT "+strings.Join(clientColumns, ", ")+" FROM clients WHERE id = ANY ($1)", readClient,
			func(c *directory.Client) { r.Clients[c.ID] = c }),
		each(ctx, tx, t.Requests, "SELECT "+requestColumns+" FROM requests WHERE id = ANY ($1)", s.readRequest,
			func(q *registry.Request) { r.Requests[q.ID] = q }))
	if err == nil && t.Policy {
		var p directory.Policy
		p, err = readPolicy(ctx, tx)
		r.Policy = &p
	}
	return r, err
}

// each gives every row that names are of to put; of no names there are none.
func each[T any](ctx context.Context, tx pgx.Tx, names []string, sql string, read func(pgx.Row) (T, error), put func(*T)) error {
	if len(names) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, sql, names)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (T, error) { return read(row) })
	for i := range found {
		put(&found[i])
	}
	return err
}

// requestColumns are what a request is.
const requestColumns = "id, kind, sealed, asked_by, asked_at, until, uid, organisation, state, decided_by, reason"

func (s *Store) readRequest(row pgx.Row) (registry.Request, error) {
	var (
		q      registry.Request
		sealed []byte
	)
	err := row.Scan(&q.ID, &q.Kind, &sealed, &q.AskedBy, &q.AskedAt, &q.Until, &q.UID, &q.At, &q.State, &q.By, &q.Reason)
	if err != nil {
		return q, err
	}
	q.AskedAt, q.Until = q.AskedAt.UTC(), q.Until.UTC()
	if s.seal == nil {
		return q, errors.New("a request cannot be read without the key it was sealed with")
	}
	if q.Change, err = s.seal.Unseal(sealed, requestOf(q.ID)); err != nil {
		return q, fmt.Errorf("unseal the request %s: %w", q.ID, err)
	}
	return q, nil
}

// requestOf is what a request is sealed for.
func requestOf(id string) []byte { return []byte("request " + id) }

// uids are those of the people who were read or added.
func (w *writing) uids() []string { return slices.Sorted(maps.Keys(w.now.People)) }
