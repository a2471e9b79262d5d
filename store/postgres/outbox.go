package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

// outgoingColumns are what a mail on its way is. attempts counts how often it
// was handed over without an answer.
const outgoingColumns = "id, at, attempts, next_try_at, sealed"

func (s *Store) readOutgoing(row pgx.CollectableRow) (idp.Outgoing, error) {
	var (
		o      idp.Outgoing
		sealed []byte
	)
	if err := row.Scan(&o.ID, &o.At, &o.Handed, &o.Held, &sealed); err != nil {
		return o, err
	}
	if s.seal == nil {
		o.Problem = errors.New("there is no key to open mails with")
		return o, nil
	}
	plain, err := s.seal.Unseal(sealed, mailOf(o.ID))
	if err == nil {
		err = json.Unmarshal(plain, &o.Mail)
	}
	if err != nil {
		o.Problem = errors.New("the mail cannot be opened")
	}
	return o, nil
}

// TakeMail returns a mail that is due at now, and keeps it from others until
// until. ErrNotFound if none is due. Of many who ask each gets another.
func (s *Store) TakeMail(ctx context.Context, now, until time.Time) (idp.Outgoing, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, `UPDATE outbox SET next_try_at = $2 WHERE id = (
			SELECT id FROM outbox WHERE sent_at IS NULL AND next_try_at <= $1 ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING `+outgoingColumns, now, until)
	if err != nil {
		return idp.Outgoing{}, outage(fmt.Errorf("take a mail: %w", err))
	}
	o, err := pgx.CollectExactlyOneRow(rows, s.readOutgoing)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, idp.ErrNotFound
	}
	if err != nil {
		return o, outage(fmt.Errorf("take a mail: %w", err))
	}
	return o, nil
}

// HandMail notes that the mail is about to be handed over. ErrNotFound if
// another has taken it meanwhile: then it must not be.
func (s *Store) HandMail(ctx context.Context, o idp.Outgoing) error {
	return s.onOutbox(ctx, "UPDATE outbox SET attempts = attempts + 1 WHERE id = $1 AND next_try_at = $2", o.ID, o.Held)
}

// PutBackMail lets anybody take the mail from next on, handed over o.Handed
// times. ErrNotFound if another has it meanwhile.
func (s *Store) PutBackMail(ctx context.Context, o idp.Outgoing, next time.Time) error {
	return s.onOutbox(ctx, "UPDATE outbox SET attempts = $3, next_try_at = $4 WHERE id = $1 AND next_try_at = $2", o.ID, o.Held, o.Handed, next)
}

// EndMail forgets a mail: it was sent, or why says why not, which the journal
// is told. ErrNotFound if there is none.
func (s *Store) EndMail(ctx context.Context, o idp.Outgoing, why string) error {
	if why == "" {
		return s.onOutbox(ctx, "DELETE FROM outbox WHERE id = $1", o.ID)
	}
	event := idp.Event{At: s.now(), Kind: idp.MailFailed, Reason: o.Mail.Text + ": " + why}
	return s.journal.record(ctx, event, nil, func(ctx context.Context, tx pgx.Tx) error {
		return one(tx.Exec(ctx, "DELETE FROM outbox WHERE id = $1 AND next_try_at = $2", o.ID, o.Held))
	})
}

func (s *Store) onOutbox(ctx context.Context, statement string, args ...any) error {
	ctx, cancel := within(ctx)
	defer cancel()
	if err := one(s.pool.Exec(ctx, statement, args...)); err != nil {
		if errors.Is(err, idp.ErrNotFound) {
			return err
		}
		return outage(fmt.Errorf("outbox: %w", err))
	}
	return nil
}

// OldMails returns up to most mails that were written before then, whoever has
// them.
func (s *Store) OldMails(ctx context.Context, then time.Time, most int) ([]idp.Outgoing, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT "+outgoingColumns+" FROM outbox WHERE at < $1 ORDER BY at LIMIT $2", then, most)
	if err != nil {
		return nil, outage(fmt.Errorf("old mails: %w", err))
	}
	all, err := pgx.CollectRows(rows, s.readOutgoing)
	if err != nil {
		return nil, outage(fmt.Errorf("old mails: %w", err))
	}
	return all, nil
}

// MailsWaiting counts the mails that were not sent yet.
func (s *Store) MailsWaiting(ctx context.Context) (n int, err error) {
	ctx, cancel := within(ctx)
	defer cancel()
	if err := s.pool.QueryRow(ctx, "SELECT count(*) FROM outbox WHERE sent_at IS NULL").Scan(&n); err != nil {
		return 0, outage(fmt.Errorf("mails that wait: %w", err))
	}
	return n, nil
}
