package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// audit tries to break every promise in the ledger, and has the journal
// verified.
func (w *world) audit(ctx context.Context) error {
	return errors.Join(w.breakPromises(ctx), w.verifyJournal(ctx))
}

// breakPromises uses again what was used, what ended and what was revoked, on
// every server, and looks for every row that must be there. The error names
// the promises that broke.
func (w *world) breakPromises(ctx context.Context) error {
	var broken findings
	for _, s := range w.servers {
		broken.add(w.useEndedSessions(ctx, w.siteOf(s)))
		broken.add(w.useRevokedTokens(ctx, w.siteOf(s)))
	}
	broken.add(w.auditJournal(ctx))
	for _, s := range w.servers {
		broken.add(w.useCodesAgain(ctx, w.siteOf(s))) // this revokes what they made, so it comes last
	}
	return broken.err()
}

// verifyJournal has the server's own command walk all chains.
func (w *world) verifyJournal(ctx context.Context) error {
	out, err := w.servers[0].command(ctx, "audit", "verify")
	if err != nil {
		return fmt.Errorf("the journal does not verify: %w: %s", err, strings.TrimSpace(out))
	}
	return nil
}

// findings are what was found. The same found again is counted.
type findings struct {
	first []error
	count map[string]int
}

func (f *findings) add(err error) {
	if err == nil {
		return
	}
	if f.count == nil {
		f.count = map[string]int{}
	}
	if f.count[err.Error()]++; f.count[err.Error()] == 1 && len(f.first) < 10 {
		f.first = append(f.first, err)
	}
}

func (f *findings) err() error {
	errs := make([]error, 0, len(f.first))
	for _, err := range f.first {
		if n := f.count[err.Error()]; n > 1 {
			err = fmt.Errorf("%d times: %w", n, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// useCodesAgain shows every code a second time.
func (w *world) useCodesAgain(ctx context.Context, s *site) error {
	codes, _, _ := w.ledger.facts()
	var broken findings
	for _, c := range codes {
		if !c.used && !c.doubt {
			continue
		}
		a, err := c.request.redeem(ctx, s, c.code, nil)
		switch {
		case err != nil:
			broken.add(fmt.Errorf("use a code again: %w", err))
		case a.status == http.StatusOK && c.used:
			broken.add(errors.New("a code that was redeemed was redeemed again"))
		case c.used && (a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "invalid_grant")):
			broken.add(problem("use a code again", a))
		case a.status == http.StatusBadRequest && c.used:
			w.ledger.reused(c.code)
		}
	}
	return broken.err()
}

// useEndedSessions asks with the browser's secret of every session that ended
// whether somebody is signed in.
func (w *world) useEndedSessions(ctx context.Context, s *site) error {
	_, sessions, _ := w.ledger.facts()
	c := w.client("ES256", nil)
	var broken findings
	for _, fact := range sessions {
		if !fact.ended {
			continue
		}
		alive, err := sessionLives(ctx, s, c, fact.secret)
		if err != nil {
			broken.add(fmt.Errorf("use a session that ended: %w", err))
		} else if alive {
			broken.add(errors.New("a session that ended lives again"))
		}
	}
	return broken.err()
}

// sessionLives says whether a browser with that secret is signed in.
func sessionLives(ctx context.Context, s *site, c *client, secret string) (bool, error) {
	p := newPerson(s)
	p.cookies["lanyard-session"] = secret
	r := c.request()
	a, err := p.open(ctx, http.MethodGet, r.address(url.Values{"prompt": {"none"}}), nil)
	if err != nil {
		return false, err
	}
	if a.location == nil {
		return false, problem("ask without a page", a)
	}
	switch at := a.location.Query(); {
	case at.Get("code") != "":
		return true, nil
	case at.Get("error") == "login_required":
		return false, nil
	default:
		return false, oauthError{at.Get("error"), 0}
	}
}

// useRevokedTokens shows every token that was revoked.
func (w *world) useRevokedTokens(ctx context.Context, s *site) error {
	_, _, tokens := w.ledger.facts()
	var broken findings
	for _, t := range tokens {
		if !t.revoked {
			continue
		}
		a, err := s.userinfo(ctx, t.token)
		switch {
		case err != nil:
			broken.add(fmt.Errorf("use a revoked token: %w", err))
		case a.status == http.StatusOK:
			broken.add(errors.New("a token that was revoked works again"))
		case a.status != http.StatusUnauthorized:
			broken.add(problem("use a revoked token", a))
		}
	}
	return broken.err()
}

// auditJournal compares the ledger with what PostgreSQL holds: each token has
// one row, each session one, and every key that was made is there.
func (w *world) auditJournal(ctx context.Context) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var broken findings
	families, err := counts(ctx, conn, `SELECT event::jsonb->>'family', count(*) FROM audit_events WHERE event::jsonb->>'kind' = 'token_issued' GROUP BY 1`)
	if err != nil {
		return err
	}
	_, sessions, tokens := w.ledger.facts()
	for _, t := range tokens {
		if n := families[t.family]; n != 1 {
			broken.add(fmt.Errorf("a token that was given out has %d rows in the journal", n))
		}
	}
	signIns, err := counts(ctx, conn, `SELECT event::jsonb->>'subject', count(*) FROM audit_events WHERE event::jsonb->>'kind' = 'signed_in' GROUP BY 1`)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for _, s := range sessions {
		seen[s.uid]++
	}
	for uid, n := range seen {
		if signIns[uid] < n {
			broken.add(fmt.Errorf("%s signed in %d times, and the journal has %d", uid, n, signIns[uid]))
		}
	}
	keys, err := counts(ctx, conn, "SELECT kid, 1 FROM signing_keys")
	if err != nil {
		return err
	}
	for _, kid := range w.ledger.keys {
		if keys[kid] == 0 {
			broken.add(fmt.Errorf("the key %s was acknowledged and is not there", kid))
		}
	}
	return broken.err()
}

// connect reaches PostgreSQL past the servers' wire.
func (w *world) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return pgx.Connect(ctx, w.postgres.URL(w.database))
}

// counts reads rows of a name and a number.
func counts(ctx context.Context, conn *pgx.Conn, query string) (map[string]int, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	all := map[string]int{}
	var name string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error { all[name] = n; return nil })
	return all, err
}
