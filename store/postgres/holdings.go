package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

var (
	_ idp.Holdings = (*Store)(nil)
	_ idp.Contacts = (*Store)(nil)
	_ idp.SignOuts = (*Store)(nil)
	_ idp.Teller   = (*Store)(nil)
)

// authenticatorColumns are what an authenticator is, from authenticators a and
// its uses u.
const authenticatorColumns = `a.id, a.uid, a.kind, a.handle, a.name, a.model, a.method, a.level, a.state, a.self_claimed,
	a.added_at, a.record, u.used_at, u.mark`

// heldFrom is where they come from. They are asked for each time: a sign-in
// compares with the mark that the last one left.
const heldFrom = " FROM authenticators a LEFT JOIN authenticator_uses u ON u.id = a.id "

func readAuthenticator(row pgx.CollectableRow) (authenticators.Authenticator, error) {
	var (
		a    authenticators.Authenticator
		used *time.Time
	)
	err := row.Scan(&a.ID, &a.Subject, &a.Kind, &a.Handle, &a.Name, &a.Model, &a.Method, &a.Level, &a.State, &a.SelfClaimed,
		&a.AddedAt, &a.Record, &used, &a.Mark)
	a.AddedAt = a.AddedAt.UTC()
	if used != nil {
		a.UsedAt = used.UTC()
	}
	return a, err
}

// ByHandle implements authenticators.Held.
func (s *Store) ByHandle(ctx context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	if !isText(string(kind)) || !isText(handle) {
		return authenticators.Authenticator{}, authenticators.ErrNotHeld
	}
	ctx, cancel := within(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT "+authenticatorColumns+heldFrom+"WHERE a.kind = $1 AND a.handle = $2", kind, handle)
	if err != nil {
		return authenticators.Authenticator{}, outage(fmt.Errorf("authenticator by handle: %w", err))
	}
	a, err := pgx.CollectExactlyOneRow(rows, readAuthenticator)
	if errors.Is(err, pgx.ErrNoRows) {
		return authenticators.Authenticator{}, authenticators.ErrNotHeld
	}
	if err != nil {
		return authenticators.Authenticator{}, outage(fmt.Errorf("authenticator by handle: %w", err))
	}
	return a, nil
}

// HeldBy implements authenticators.Held.
func (s *Store) HeldBy(ctx context.Context, subject string) ([]authenticators.Authenticator, error) {
	if !idp.IsUID(subject) {
		return nil, nil
	}
	ctx, cancel := within(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT "+authenticatorColumns+heldFrom+`WHERE a.uid = $1 ORDER BY a.added_at, a.id COLLATE "C"`, subject)
	if err != nil {
		return nil, outage(fmt.Errorf("authenticators of %s: %w", subject, err))
	}
	held, err := pgx.AppendRows([]authenticators.Authenticator(nil), rows, readAuthenticator)
	if err != nil {
		return nil, outage(fmt.Errorf("authenticators of %s: %w", subject, err))
	}
	return held, nil
}

// AddAuthenticator implements idp.Holdings.
func (s *Store) AddAuthenticator(ctx context.Context, a authenticators.Authenticator, act idp.Act) error {
	return s.act(ctx, a.Subject, act, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO authenticators (id, uid, kind, handle, name, model, method, level, state, self_claimed, added_at, record)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			a.ID, a.Subject, a.Kind, a.Handle, a.Name, a.Model, a.Method, a.Level, a.State, a.SelfClaimed, a.AddedAt, jsonText(a.Record))
		if err != nil || jsonText(a.Mark) == nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO authenticator_uses (id, mark) VALUES ($1, $2)", a.ID, jsonText(a.Mark))
		return err
	})
}

// RenameAuthenticator implements idp.Holdings.
func (s *Store) RenameAuthenticator(ctx context.Context, subject, id, name string, act idp.Act) error {
	return s.act(ctx, subject, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "UPDATE authenticators SET name = $3 WHERE id = $1 AND uid = $2", id, subject, name))
	})
}

// StopAuthenticator implements idp.Holdings.
func (s *Store) StopAuthenticator(ctx context.Context, subject, id string, act idp.Act) error {
	return s.act(ctx, subject, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "UPDATE authenticators SET state = 'suspended' WHERE id = $1 AND uid = $2", id, subject))
	})
}

// KeepRecord implements idp.Holdings.
func (s *Store) KeepRecord(ctx context.Context, subject, id string, record json.RawMessage, act idp.Act) error {
	return s.act(ctx, subject, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "UPDATE authenticators SET record = $3 WHERE id = $1 AND uid = $2 AND state = 'active'", id, subject, jsonText(record)))
	})
}

// StopCard implements idp.Holdings.
func (s *Store) StopCard(ctx context.Context, subject, serial string, act idp.Act) error {
	return s.act(ctx, subject, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "UPDATE cards SET state = 'suspended' WHERE uid = $1 AND serial = $2 AND state = 'active'", subject, serial))
	})
}

// Tell implements idp.Teller.
func (s *Store) Tell(ctx context.Context, act idp.Act) error {
	return s.act(ctx, act.Event.Subject, act, func(context.Context, pgx.Tx) error { return nil })
}

// RemoveAuthenticator implements idp.Holdings.
func (s *Store) RemoveAuthenticator(ctx context.Context, subject, id string, act idp.Act) error {
	return s.act(ctx, subject, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "DELETE FROM authenticators WHERE id = $1 AND uid = $2", id, subject))
	})
}

// PersonByEmail implements idp.Contacts.
func (s *Store) PersonByEmail(ctx context.Context, email string) (p idp.Contact, err error) {
	if !isText(email) {
		return p, idp.ErrNotFound
	}
	ctx, cancel := within(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, `SELECT p.uid, p.title, p.given, p.middle, p.family, p.display, p.email, p.profile, coalesce(to_jsonb(p) ->> 'robot_owner', '') <> ''
		FROM emails e JOIN people p ON p.uid = e.uid WHERE e.key = email_key($1)`, email).
		Scan(&p.UID, &p.Name.Title, &p.Name.Given, &p.Name.Middle, &p.Name.Family, &p.Name.Display, &p.Email, &p.Profile, &p.Robot)
	if errors.Is(err, pgx.ErrNoRows) {
		return idp.Contact{}, idp.ErrNotFound
	}
	if err != nil {
		return idp.Contact{}, outage(fmt.Errorf("person by e-mail: %w", err))
	}
	return p, nil
}

// SaveEmail implements idp.Contacts.
func (s *Store) SaveEmail(ctx context.Context, uid, email string, act idp.Act) error {
	return s.act(ctx, uid, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "UPDATE people SET email = $2 WHERE uid = $1", uid, email))
	})
}

// SignOut implements idp.SignOuts.
func (s *Store) SignOut(ctx context.Context, uid string, at time.Time, act idp.Act) error {
	if up := at.Truncate(time.Microsecond); up.Before(at) {
		at = up.Add(time.Microsecond) // PostgreSQL has no finer times: none that began by then lives on
	}
	return s.act(ctx, uid, act, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "UPDATE people SET signed_out_at = greatest(signed_out_at, $2) WHERE uid = $1", uid, at))
	})
}

// act makes a change of what is uid's with its act: all of it or nothing.
func (s *Store) act(ctx context.Context, uid string, act idp.Act, with change) error {
	mails, err := s.sealMails(act.Mails)
	if err != nil {
		return err
	}
	err = s.journal.record(ctx, act.Event, act.Fences, func(ctx context.Context, tx pgx.Tx) error {
		if err := with(ctx, tx); err != nil {
			return refusal(err)
		}
		return post(ctx, tx, act.Event.At, mails)
	})
	s.people.drop(uid) // others hear it; who changed it reads it at once
	return err
}

// one is ErrNotFound unless a command was about something.
func one(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return idp.ErrNotFound
	}
	return err
}

// refusal returns what the schema refuses in the words of the rules.
func refusal(err error) error {
	const unique, foreign = "23505", "23503"
	answer, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && answer.Code == unique:
		return idp.ErrTaken
	case ok && answer.Code == foreign:
		return idp.ErrNotFound // there is no such person
	}
	return outage(err)
}

// mail is a message on its way, as it is kept.
type mail struct {
	id     string
	sealed []byte
}

// sealMails returns mails as they are kept.
func (s *Store) sealMails(mails []idp.Mail) ([]mail, error) {
	var out []mail
	for _, m := range mails {
		if s.seal == nil {
			return nil, errors.New("mails cannot be kept without a key to seal them with")
		}
		plain, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("write a mail: %w", err)
		}
		id := newMailID()
		sealed, err := s.seal.Seal(plain, mailOf(id))
		if err != nil {
			return nil, fmt.Errorf("seal a mail: %w", err)
		}
		out = append(out, mail{id, sealed})
	}
	return out, nil
}

// mailOf is what a mail is sealed for.
func mailOf(id string) []byte { return []byte("mail " + id) }

// post puts mails into the outbox, to be sent from at on.
func post(ctx context.Context, tx pgx.Tx, at time.Time, mails []mail) error {
	if len(mails) == 0 {
		return nil
	}
	var ids []string
	var sealed [][]byte
	for _, m := range mails {
		ids, sealed = append(ids, m.id), append(sealed, m.sealed)
	}
	_, err := tx.Exec(ctx, `INSERT INTO outbox (id, at, sealed, next_try_at)
		SELECT m.id, $2, m.sealed, $2 FROM unnest($1::text[], $3::bytea[]) AS m (id, sealed)`, ids, at, sealed)
	if err != nil {
		return outage(fmt.Errorf("keep mails: %w", err))
	}
	return nil
}

// newMailID names a mail.
func newMailID() string { return rand.Text() }
