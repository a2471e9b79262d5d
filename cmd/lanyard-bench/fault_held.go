package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
)

// learning is how long servers may take to learn that somebody signed out of
// everything.
const learning = 5 * time.Second

// signOutEverywhere is S6: people sign out on one server while what they were
// given is used at the other.
func signOutEverywhere(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		people, c := t.size(50, 10), w.client("ES256", nil)
		leaving := make([]leaver, people)
		for n := range leaving {
			var err error
			if leaving[n], err = w.newLeaver(ctx, n, c); err != nil {
				return err
			}
		}
		var broken findings
		var longest time.Duration
		for _, took := range together(people, func(n int) outcome[time.Duration] {
			took, err := leaving[n].leave(ctx, w)
			return outcome[time.Duration]{took, err}
		}) {
			broken.add(took.err)
			longest = max(longest, took.got)
		}
		if err := broken.err(); err != nil {
			return err
		}
		t.report("%d people signed out everywhere at once, each with two browsers: nothing of theirs was taken after %s",
			people, longest.Round(time.Millisecond))
		return w.audit(ctx)
	})
}

// outcome is what one of many got.
type outcome[T any] struct {
	got T
	err error
}

// leaver is somebody who is signed in at two browsers.
type leaver struct {
	flow   *flow
	access []string // of each browser
	open   result   // a code that was not redeemed yet
}

func (w *world) newLeaver(ctx context.Context, n int, c *client) (leaver, error) {
	l := leaver{}
	for range 2 {
		l.flow = w.flow(n, c)
		r, err := l.flow.run(ctx)
		if err != nil {
			return l, err
		}
		l.access = append(l.access, r.tokens.access)
	}
	var err error
	l.open, err = l.flow.code(ctx)
	return l, err
}

// leave signs out everywhere at the first server, while the tokens are used at
// the others, and returns how long after that the last was taken.
func (l leaver) leave(ctx context.Context, w *world) (time.Duration, error) {
	p := l.flow.person
	p.site = w.siteOf(w.servers[0])
	page, err := p.open(ctx, http.MethodGet, "/account/everywhere", nil)
	if err != nil {
		return 0, err
	}
	sure, err := formTo(page.body, "/account/everywhere")
	if err != nil {
		return 0, err
	}
	if a, err := p.submit(ctx, sure, nil); err != nil || a.status >= http.StatusBadRequest || p.session() != "" {
		return 0, errors.Join(err, problem("sign out everywhere", a))
	}
	left := time.Now()
	w.ledger.signedOut(l.flow.holder.uid)
	var last time.Duration
	for _, s := range w.servers[1:] {
		for _, access := range l.access {
			for asked := time.Duration(0); ; {
				if asked = time.Since(left); asked > learning {
					return asked, fmt.Errorf("%s still takes a token %s after its person signed out of everything", s.name, asked)
				}
				a, err := w.siteOf(s).userinfo(ctx, access)
				if err != nil {
					return asked, err
				}
				if a.status == http.StatusUnauthorized {
					break
				}
				if a.status != http.StatusOK {
					return asked, problem("ask userinfo", a)
				}
				last = max(last, asked)
				wait(ctx, 5*time.Millisecond)
			}
		}
		a, err := l.open.request.redeem(ctx, w.siteOf(s), l.open.code, nil)
		if err != nil {
			return last, err
		}
		if a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "invalid_grant") {
			return last, problem("redeem a code of who signed out of everything", a)
		}
	}
	return last, nil
}

// raceSteps is A2: one code of an app, shown at many browsers at once.
func raceSteps(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{}, func(w *world) error {
		rounds, tries, putOff := t.size(20, 3), t.size(200, 50), 0
		for n := range rounds {
			off, err := w.raceStep(ctx, n, tries)
			if err != nil {
				return fmt.Errorf("code %d: %w", n+1, err)
			}
			putOff += off
		}
		t.report("%d one-time codes, each shown at %d browsers of two servers at once, with the right password: each signed in once (%d tries were put off: a server hashes few passwords at once)",
			rounds, tries, putOff)
		return w.audit(ctx)
	})
}

// raceStep is one round of it, and returns how many tries were put off.
func (w *world) raceStep(ctx context.Context, n, tries int) (putOff int, err error) {
	c := w.client("ES256", nil)
	first := w.flow(n, c)
	if _, err := first.code(ctx); err != nil {
		return 0, err
	}
	if first.holder.app, err = first.person.addCode(ctx); err != nil {
		return 0, err
	}
	people, forms := make([]*person, tries), make([]form, tries)
	for i := range people {
		f := &flow{person: newPerson(w.siteOf(w.servers[i%len(w.servers)]))}
		people[i] = f.person
		ways, err := f.person.open(ctx, http.MethodGet, c.request().address(aal2), nil)
		if err != nil {
			return 0, err
		}
		if forms[i], err = f.codeForm(ctx, ways); err != nil {
			return 0, err
		}
	}
	code, err := first.holder.app.fresh(ctx)
	if err != nil {
		return 0, err
	}
	won := 0
	var broken findings
	for i, o := range together(tries, func(i int) outcome[answer] {
		fill := first.holder.knows(code)
		maps.Copy(fill, forms[i].fields)
		a, err := people[i].once(ctx, http.MethodPost, forms[i].action, fill)
		return outcome[answer]{a, err}
	}) {
		session := people[i].session()
		switch {
		case o.err != nil:
			broken.add(o.err)
		case session != "":
			won++
			w.ledger.signedIn(session, "", first.holder.uid)
		case o.got.status == http.StatusServiceUnavailable:
			putOff++
		case o.got.status < http.StatusBadRequest || o.got.status >= http.StatusInternalServerError:
			broken.add(problem("show a code again", o.got))
		}
	}
	if won != 1 {
		broken.add(fmt.Errorf("%d of %d signed in with one code", won, tries))
	}
	return putOff, broken.err()
}
