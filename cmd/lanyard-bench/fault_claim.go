package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stranger is somebody who tries to learn who there is: what they do, and what
// they say in try number n.
type stranger struct {
	who  string
	path string
	says func(n int) url.Values
}

// strangers are those who try, by what they do. Those of one row must read the
// same. No address is tried more often than it may be.
func (w *world) strangers() [][]stranger {
	half := len(w.crowd.holders) / 2
	email := func(n int) string { return w.crowd.holders[n].uid + "@rig.example" }
	claims := func(email, number string) url.Values { return url.Values{"email": {email}, "number": {number}} }
	makes := func(email string) url.Values {
		return url.Values{"email": {email}, "given": {"Olwen"}, "family": {"Parry"}}
	}
	return [][]stranger{
		{
			{"whose address and number they are", "/claim", func(n int) url.Values { return claims(email(n), insured(n)) }},
			{"whose number it is not", "/claim", func(n int) url.Values { return claims(email(half+n), insured(n)) }},
			{"whose address is nobody's", "/claim", func(n int) url.Values { return claims(fmt.Sprintf("6661%08d@rig.example", n), insured(n)) }},
		},
		{
			{"whose address is free", "/register", func(n int) url.Values { return makes(fmt.Sprintf("7771%08d@rig.example", n)) }},
			{"whose address is somebody's", "/register", func(n int) url.Values { return makes(email(n)) }},
		},
		{
			{"whose address has a password", forgotten, func(n int) url.Values { return url.Values{"email": {email(half + n)}} }},
			{"whose address has none", forgotten, func(n int) url.Values { return url.Values{"email": {email(n)}} }},
			{"whose address is nobody's", forgotten, func(n int) url.Values { return url.Values{"email": {fmt.Sprintf("8881%08d@rig.example", n)}} }},
		},
	}
}

// learned is what somebody sees and measures of one try.
type learned struct {
	pages []string        // all that was answered, without what is always another
	took  []time.Duration // to answer who they are, and a wrong code
}

// forgotten is where somebody has a code sent who has forgotten their password.
const forgotten = "/login/totp/forgotten"

// givePasswords writes down that the second half of people have a password. Whoever
// asks for a new one is never asked for the old, so there is none behind it.
func (w *world) givePasswords(ctx context.Context) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var uids []string
	for _, h := range w.crowd.holders[len(w.crowd.holders)/2:] {
		uids = append(uids, h.uid)
	}
	_, err = conn.Exec(ctx, `INSERT INTO authenticators (id, uid, kind, handle, method, level, state, added_at, record)
		SELECT 'password ' || uid, uid, 'totp', uid, 'TOTP', 2, 'active', $2, '{}' FROM unnest($1::text[]) AS uid`, uids, time.Now())
	return err
}

// sentPasswords is an error unless so many codes for a new password were sent:
// had nobody a password, there would be nothing to tell apart.
func (w *world) sentPasswords(ctx context.Context, want int) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	all, err := counts(ctx, conn, `SELECT 'sent', count(*) FROM audit_events
		WHERE event LIKE '%"kind":"mail_code_sent"%' AND event LIKE '%"reason":"password"%'`)
	if err == nil && all["sent"] != want {
		err = fmt.Errorf("%d codes for a new password were sent, want %d", all["sent"], want)
	}
	return err
}

// hasForgotten has a code sent in the middle of a sign-in, as a stranger does, and
// sets a new password by a wrong one.
func (w *world) hasForgotten(ctx context.Context, s stranger, n int) (learned, error) {
	var l learned
	f := w.flow(n, w.client("ES256", nil))
	ways, err := f.person.open(ctx, http.MethodGet, f.client.request().address(aal2), nil)
	if err != nil {
		return l, err
	}
	id, err := formTo(ways.body, "/login/cancel")
	if err != nil {
		return l, err
	}
	says := s.says(n)
	says.Set("id", id.fields.Get("id"))
	asks := url.Values{"mailed": {"0000-0000"}, "code": {"000000"}, "password": {random(16)}}
	maps.Copy(asks, says)
	for _, step := range []struct {
		path string
		form url.Values
		want int
	}{{s.path, says, http.StatusOK}, {"/login/totp/reset", asks, http.StatusBadRequest}} {
		began := time.Now()
		a, err := f.person.once(ctx, http.MethodPost, step.path, step.form)
		if err != nil {
			return l, err
		}
		l.took = append(l.took, time.Since(began))
		if a.status != step.want {
			return l, problem("forget a password as somebody "+s.who, a)
		}
		page := strings.NewReplacer(says.Get("id"), "(the login)", says.Get("email"), "(the address)").Replace(sameAlways(a))
		l.pages = append(l.pages, step.path+" "+page)
	}
	return l, nil
}

// try does what a stranger does.
func (w *world) try(ctx context.Context, s stranger, n int) (learned, error) {
	if s.path == forgotten {
		return w.hasForgotten(ctx, s, n)
	}
	p := newPerson(w.site())
	var l learned
	a, err := p.once(ctx, http.MethodGet, s.path, nil)
	if err != nil {
		return l, err
	}
	f, err := formTo(a.body, s.path)
	if err != nil {
		return l, err
	}
	fill := s.says(n)
	answer, err := f.solve()
	if err != nil {
		return l, err
	}
	fill.Set("puzzle", f.puzzle)
	fill.Set("answer", answer)
	for _, step := range []struct {
		method, path string
		form         url.Values
	}{{http.MethodPost, s.path, fill}, {http.MethodGet, "/claim/code", nil}, {http.MethodPost, "/claim/code", url.Values{"code": {"0000-0000"}}}} {
		began := time.Now()
		a, err := p.once(ctx, step.method, step.path, step.form)
		if err != nil {
			return l, err
		}
		if step.form != nil {
			l.took = append(l.took, time.Since(began))
		}
		l.pages = append(l.pages, step.method+" "+step.path+" "+sameAlways(a))
	}
	if !strings.HasPrefix(l.pages[0], "POST "+s.path+" 303") {
		return l, problem("begin as somebody "+s.who, a)
	}
	return l, nil
}

// solve returns the answer to the puzzle of a form.
func (f form) solve() (string, error) {
	hard, err := strconv.Atoi(f.bits)
	if f.puzzle == "" || err != nil {
		return "", errors.New("there is no puzzle")
	}
	text := append([]byte(f.puzzle), ':')
	for n := 0; ; n++ {
		sum := sha256.Sum256(strconv.AppendInt(text, int64(n), 10))
		if bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:])) >= hard {
			return strconv.Itoa(n), nil
		}
	}
}

// sameAlways is all of an answer, without what is another in each: the time, its
// name, and the secret of a cookie, of which the length stays.
func sameAlways(a answer) string {
	id := a.header.Get("X-Request-Id")
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		for _, value := range a.header[name] {
			switch name {
			case "Date":
				continue
			case "Set-Cookie":
				if c, err := http.ParseSetCookie(value); err == nil {
					value = strings.Replace(value, c.Value, fmt.Sprintf("(%d letters)", len(c.Value)), 1)
				}
			}
			fmt.Fprintln(&b, name+": "+value)
		}
	}
	b.Write(a.body)
	if len(id) < 8 {
		return b.String()
	}
	return strings.NewReplacer(id, "(its name)", id[:4]+"-"+id[4:8], "(its name)", id[:8], "(its name)").Replace(b.String())
}

// tellNothing is F39.
func tellNothing(ctx context.Context, t *trial) error {
	rounds := t.size(400, 5)
	p := plan{servers: 1, direct: true, people: 2 * rounds, policy: map[string]string{"log.level": "warn", "tracing.endpoint": ""}}
	return t.in(ctx, p, func(w *world) error {
		tries := 0
		var broken findings
		if err := w.givePasswords(ctx); err != nil {
			return err
		}
		for _, row := range w.strangers() {
			all, err := w.tryAll(ctx, row, rounds)
			if err != nil {
				return err
			}
			tries += rounds * len(row)
			for i, who := range row[1:] {
				broken.add(compare(t, row[0], who, all[0], all[i+1]))
			}
		}
		broken.add(w.sentPasswords(ctx, rounds))
		t.report("%d tries: answers, and what the stores are asked, are the same", tries)
		return broken.err()
	})
}

// tried is what came of all tries of one stranger.
type tried struct {
	pages []string
	took  [][]time.Duration
	calls map[string]int // of the stores, the fewest in any try
}

// counted is of how many first tries the stores are asked what they were asked.
const counted = 5

// tryAll lets all of a row try, in turn and each time in another order.
func (w *world) tryAll(ctx context.Context, row []stranger, rounds int) ([]tried, error) {
	all := make([]tried, len(row))
	for n := range rounds {
		for _, i := range rand.Perm(len(row)) {
			before, err := w.calls(ctx, n < counted)
			if err != nil {
				return nil, err
			}
			l, err := w.try(ctx, row[i], n)
			if err != nil {
				return nil, err
			}
			after, err := w.calls(ctx, n < counted)
			if err != nil {
				return nil, err
			}
			all[i].add(l, before, after)
		}
	}
	return all, nil
}

func (t *tried) add(l learned, before, after map[string]int) {
	for _, page := range l.pages {
		if !slices.Contains(t.pages, page) {
			t.pages = append(t.pages, page)
		}
	}
	t.took = append(t.took, l.took)
	if after == nil {
		return
	}
	first := t.calls == nil
	if first {
		t.calls = map[string]int{}
	}
	for name, n := range after {
		if n -= before[name]; first || n < t.calls[name] {
			t.calls[name] = n
		}
	}
}

// calls counts what the stores were ever asked: each command of Redis, each
// transaction that wrote, and the rows that are kept.
func (w *world) calls(ctx context.Context, wanted bool) (map[string]int, error) {
	if !wanted {
		return nil, nil
	}
	rdb := admin(w.redis)
	defer func() { _ = rdb.Close() }()
	info, err := rdb.InfoMap(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	all := map[string]int{}
	for name, said := range info["Commandstats"] {
		var n int
		if _, err := fmt.Sscanf(said, "calls=%d,", &n); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[strings.TrimPrefix(name, "cmdstat_")] = n
	}
	for _, own := range []string{"info", "hello", "client|setinfo", "client|maint_notifications"} { // our own asking
		delete(all, own)
	}
	conn, err := w.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := counts(ctx, conn, `SELECT 'transactions', txid_snapshot_xmax(txid_current_snapshot())
		UNION ALL SELECT 'outbox', count(*) FROM outbox UNION ALL SELECT 'audit_events', count(*) FROM audit_events
		UNION ALL SELECT 'audit_index', count(*) FROM audit_index UNION ALL SELECT 'fences', count(*) FROM fences`)
	maps.Copy(all, rows)
	return all, err
}

// compare is an error if anything tells two strangers apart. Times are judged
// where there are enough of them.
func compare(t *trial, one, other stranger, a, b tried) error {
	what := fmt.Sprintf("%s, %s and %s", one.path, one.who, other.who)
	for _, page := range b.pages {
		if !slices.Contains(a.pages, page) {
			return fmt.Errorf("%s: one reads\n%s\nand another\n%s", what, strings.Join(a.pages, "\n"), page)
		}
	}
	if !maps.Equal(a.calls, b.calls) || a.calls["outbox"] != 1 {
		return fmt.Errorf("%s: the stores are asked %v and %v", what, a.calls, b.calls)
	}
	if !t.full {
		return nil
	}
	var broken findings
	for step, name := range []string{"who they are", "a wrong code"} {
		at := func(all [][]time.Duration) (took []time.Duration) {
			for _, one := range all {
				took = append(took, one[step])
			}
			return took
		}
		saw, err := sameTimes(at(a.took), at(b.took))
		t.report("%s: %s: %s", what, name, saw)
		if err != nil {
			broken.add(fmt.Errorf("%s: %s: %w", what, name, err))
		}
	}
	return broken.err()
}
