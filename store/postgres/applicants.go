package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// applicantColumns are what an applicant is.
const applicantColumns = "id, state, hash, sealed, organisation, invited_by, invited_at, until, applied_at, uid, decided_by, decided_at"

// applicantOf is what an applicant is sealed for.
func applicantOf(id string) []byte { return []byte("applicant " + id) }

// personal is what is sealed of an applicant.
type personal struct {
	Email string        `json:"email"`
	Said  registry.Said `json:"said"`
}

func (s *Store) readApplicant(row pgx.Row) (registry.Applicant, error) {
	var (
		a                registry.Applicant
		sealed           []byte
		applied, decided *time.Time
	)
	err := row.Scan(&a.ID, &a.State, &a.Hash, &sealed, &a.At, &a.By, &a.InvitedAt, &a.Until, &applied, &a.UID, &a.DecidedBy, &decided)
	if err != nil {
		return a, err
	}
	a.InvitedAt, a.Until, a.AppliedAt, a.DecidedAt = a.InvitedAt.UTC(), a.Until.UTC(), zero(applied), zero(decided)
	if s.seal == nil {
		return a, errors.New("an applicant cannot be read without the key they were sealed with")
	}
	plain, err := s.seal.Unseal(sealed, applicantOf(a.ID))
	if err != nil {
		return a, fmt.Errorf("unseal the applicant %s: %w", a.ID, err)
	}
	var p personal
	if err := json.Unmarshal(plain, &p); err != nil {
		return a, fmt.Errorf("read the applicant %s: %w", a.ID, errSealForm) // the decoder's text would repeat what is in it
	}
	a.Email, a.Said = p.Email, p.Said
	return a, nil
}

func (s *Store) sealApplicant(a *registry.Applicant) ([]byte, error) {
	if s.seal == nil {
		return nil, errors.New("applicants cannot be kept without a key to seal them with")
	}
	plain, err := json.Marshal(personal{a.Email, a.Said})
	if err != nil {
		return nil, fmt.Errorf("write an applicant: %w", err)
	}
	sealed, err := s.seal.Seal(plain, applicantOf(a.ID))
	if err != nil {
		return nil, fmt.Errorf("seal an applicant: %w", err)
	}
	return sealed, nil
}

// applicants reads those that t names into r, and returns the codes of the
// organisations that invited them.
func (s *Store) applicants(ctx context.Context, tx pgx.Tx, t registry.Touch, r *registry.Records) ([]string, error) {
	if len(t.Applicants) == 0 && t.Invitation == "" {
		return nil, nil
	}
	rows, err := tx.Query(ctx, "SELECT "+applicantColumns+" FROM applicants WHERE id = ANY ($1) OR hash = nullif($2, '')", t.Applicants, t.Invitation)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (registry.Applicant, error) { return s.readApplicant(row) })
	var codes []string
	for i := range found {
		r.Applicants[found[i].ID] = &found[i]
		codes = append(codes, found[i].At)
	}
	return codes, err
}

// lockApplicants keeps everybody else from changing those that t names.
func lockApplicants(ctx context.Context, tx pgx.Tx, t registry.Touch) error {
	if len(t.Applicants) == 0 && t.Invitation == "" {
		return nil
	}
	_, err := tx.Exec(ctx, "SELECT FROM applicants WHERE id = ANY ($1) OR hash = nullif($2, '') ORDER BY id FOR UPDATE", t.Applicants, t.Invitation)
	return err
}

// applicants writes them. What they said is sealed anew where it is different.
func (w *writing) applicants(ctx context.Context, tx pgx.Tx, _ time.Time) error {
	r := rowsIn("applicants", 1, "id", "state", "hash", "sealed", "organisation", "invited_by", "invited_at", "until", "applied_at", "uid", "decided_by", "decided_at")
	r.guard = []string{"state"}
	row := func(a *registry.Applicant, sealed []byte) []any {
		return []any{a.ID, string(a.State), a.Hash, sealed, a.At, a.By, a.InvitedAt, a.Until, timeOrNull(a.AppliedAt), a.UID, a.DecidedBy, timeOrNull(a.DecidedAt)}
	}
	for _, a := range w.was.Applicants {
		r.had(row(a, nil)...)
	}
	for _, id := range slices.Sorted(maps.Keys(w.now.Applicants)) {
		a, was := w.now.Applicants[id], w.was.Applicants[id]
		var sealed []byte // nil, as it was read
		if was == nil || was.Email != a.Email || was.Said != a.Said {
			var err error
			if sealed, err = w.store.sealApplicant(a); err != nil {
				return err
			}
		}
		if err := r.has(row(a, sealed)...); err != nil {
			return err
		}
	}
	return r.write(ctx, tx)
}

// ForgetApplicants takes out who has not applied, or was not decided on, in the
// time that there was for it, with all that they said of themselves. It is
// called now and then. On a schema without applicants it does nothing.
func (s *Store) ForgetApplicants(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "DELETE FROM applicants WHERE state IN ('invited', 'applied') AND until <= $1", s.now())
	if noTable(err) {
		return nil
	}
	return outage(err)
}

// Applicants implements registry.Finder.
func (s *Store) Applicants(ctx context.Context, q registry.Query, now time.Time) ([]registry.Applicant, string, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	below, err := s.belowOrAll(ctx, q.At)
	if err != nil {
		return nil, "", err
	}
	a := &asking{}
	from := "SELECT " + applicantColumns + " FROM applicants WHERE state IN ('invited', 'applied') AND until > " + a.arg(now)
	if below != nil {
		from += " AND organisation = ANY (" + a.arg(below) + ")"
	}
	if after, goesOn := q.Place(); goesOn {
		at, err := time.Parse(time.RFC3339Nano, after.Keys[0])
		if err != nil {
			return nil, "", idp.ErrRequest
		}
		from += " AND (invited_at, id) > (" + a.arg(at) + ", " + a.arg(after.Keys[1]) + ")"
	}
	rows, err := s.pool.Query(ctx, from+" ORDER BY invited_at, id LIMIT "+a.arg(q.Size()+1), a.args...)
	if err != nil {
		return nil, "", behind(fmt.Errorf("applicants: %w", err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (registry.Applicant, error) { return s.readApplicant(row) })
	if err != nil {
		return nil, "", behind(fmt.Errorf("applicants: %w", err))
	}
	cursor := ""
	if len(all) > q.Size() {
		all = all[:q.Size()]
		end := all[len(all)-1]
		cursor = registry.Place{Keys: [3]string{end.InvitedAt.Format(time.RFC3339Nano), end.ID}}.Cursor()
	}
	return all, cursor, nil
}
