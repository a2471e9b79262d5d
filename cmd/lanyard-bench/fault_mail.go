package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/store/vault"
)

// carryMails is F40.
func carryMails(ctx context.Context, t *trial) error {
	mails, kills := t.size(1000, 60), t.size(10, 2) // of servers, and as many of the mail server
	l, err := listen()
	if err != nil {
		return err
	}
	box := &mailServer{address: l.Addr().String(), slow: 10 * time.Millisecond}
	if err := l.Close(); err != nil {
		return err
	}
	p := plan{people: 2, policy: map[string]string{"smtp.address": box.address, "smtp.from": "no-reply@rig.example", "smtp.tls": "none"}}
	return t.in(ctx, p, func(w *world) error {
		box.book = w.file("letters")
		if err := box.start(ctx); err != nil {
			return err
		}
		w.closeWith(func() error { _ = box.kill(); return nil })
		if err := w.writeMails(ctx, mails); err != nil {
			return err
		}
		for n := range kills {
			if err := w.killCarriers(ctx, box, n, mails/(2*kills)); err != nil {
				return fmt.Errorf("kill %d: %w", n+1, err)
			}
		}
		if err := w.emptied(ctx, !t.full); err != nil {
			return err
		}
		return w.judgeMails(ctx, t, box, mails, kills)
	})
}

// writeMails fills the outbox, as the servers do.
func (w *world) writeMails(ctx context.Context, n int) error {
	keyset, err := vault.ReadKeyset(w.file("keyset.json"))
	if err != nil {
		return err
	}
	s, err := postgres.Open(ctx, postgres.Config{URL: w.postgres.URL(w.database), Now: time.Now, Sealer: keyset})
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range n {
		err := s.Tell(ctx, idp.Act{Event: idp.Event{At: time.Now(), Kind: idp.AuthenticatorAdded, Subject: w.crowd.busy.uid},
			Mails: []idp.Mail{{To: addressee(i), Lang: "en", Text: "mail.added", Args: map[string]string{"name": "Ward key"}}}})
		if err != nil {
			return err
		}
	}
	return nil
}

func addressee(i int) string { return fmt.Sprintf("mailed%d@rig.example", i) }

// killCarriers kills one server, and the mail server, each when some more
// letters have come, and starts them again.
func (w *world) killCarriers(ctx context.Context, box *mailServer, n, more int) error {
	s := w.servers[n%len(w.servers)]
	if err := w.came(ctx, box, more); err != nil {
		return err
	}
	if err := s.kill(); err != nil {
		return err
	}
	if _, err := s.run(ctx); err != nil {
		return err
	}
	if err := w.came(ctx, box, more/2); err != nil {
		return err
	}
	if err := box.kill(); err != nil {
		return err
	}
	wait(ctx, time.Duration(rand.IntN(300))*time.Millisecond)
	return box.start(ctx)
}

// came waits until so many more letters have come, or none waits that is due,
// and a little longer: at no step in particular.
func (w *world) came(ctx context.Context, box *mailServer, more int) error {
	before, err := box.letters()
	if err != nil {
		return err
	}
	defer wait(ctx, time.Duration(rand.IntN(40))*time.Millisecond)
	return until(ctx, func() error {
		now, err := box.letters()
		if err != nil {
			return permanent{err}
		}
		due, _, err := w.outbox(ctx)
		if err != nil {
			return permanent{err}
		}
		if len(now) < len(before)+more && due > 0 {
			return fmt.Errorf("%d letters have come, and %d mails are due", len(now), due)
		}
		return nil
	})
}

// outbox counts the mails that are due, and those that somebody has or that are
// to be tried later.
func (w *world) outbox(ctx context.Context) (due, later int, err error) {
	conn, err := w.connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, "SELECT count(*) FILTER (WHERE next_try_at <= $1), count(*) FILTER (WHERE next_try_at > $1) FROM outbox", time.Now()).Scan(&due, &later)
	return due, later, err
}

// emptied waits until no mail waits. One that a dead server had in hand is its
// own for a minute; with hurry that minute is cut short, once nobody who lives
// has one in hand.
func (w *world) emptied(ctx context.Context, hurry bool) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for quiet := 0; ; wait(ctx, 200*time.Millisecond) {
		due, later, err := w.outbox(ctx)
		if err != nil || due+later == 0 {
			return err
		}
		if quiet++; due > 0 {
			quiet = 0
		}
		if !hurry || quiet < 10 { // two seconds, in which a mail that was in hand is not any more
			continue
		}
		conn, err := w.connect(ctx)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "UPDATE outbox SET next_try_at = $1", time.Now())
		if err := errors.Join(err, conn.Close(ctx)); err != nil {
			return err
		}
		quiet = 0
	}
}

// judgeMails compares what came with what was written. A server carries one mail
// at a time, so a server that dies may let one come twice, and a mail server
// that dies one of each server. None comes three times, and who gets none must
// be told of in the journal.
func (w *world) judgeMails(ctx context.Context, t *trial, box *mailServer, mails, kills int) error {
	letters, err := box.letters()
	if err != nil {
		return err
	}
	got, twice := map[string]bool{}, 0
	var broken findings
	for letter, n := range letters {
		to, id, _ := strings.Cut(letter, " ")
		if got[to] {
			broken.add(fmt.Errorf("two letters that came to one person are called differently: %s", id))
		}
		got[to] = true
		if n > 2 {
			broken.add(fmt.Errorf("a letter came %d times", n))
		}
		if n > 1 {
			twice++
		}
	}
	lost := 0
	for i := range mails {
		if !got[addressee(i)] {
			lost++
		}
	}
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	told := 0
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM audit_events WHERE event::jsonb->>'kind' = 'mail_failed'").Scan(&told); err != nil {
		return err
	}
	most := kills * (1 + len(w.servers))
	if twice > most || lost > told || told > 2 {
		broken.add(fmt.Errorf("%d of %d mails never came, of which the journal tells of %d; %d came twice, where %d may", lost, mails, told, twice, most))
	}
	if err := broken.err(); err != nil {
		return err
	}
	t.report("%d mails, with %d kills of servers and %d of the mail server: each came, %d of them twice because an answer was lost, and %d met two deaths and were given up", mails, kills, kills, twice, told)
	return w.audit(ctx)
}
