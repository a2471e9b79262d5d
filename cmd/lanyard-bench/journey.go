package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lanyard-id/lanyard/idp/registry"
)

// refusedBudget is how long after a card is revoked its use may still be taken,
// on any server, and its sessions may live.
const refusedBudget = 5 * time.Second

// fewest are the people among whom there are those that the script looks for.
const fewest = 25_000

// runJourney has a registration authority work a day in a browser, on a registry
// of many people and two servers.
func runJourney(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("journey", flag.ContinueOnError)
	flags.SetOutput(errs)
	j := &journey{said: map[string][]seen{}}
	program := flags.String("lanyard", beside("lanyard"), "the server's `program`")
	flags.StringVar(&j.script, "script", "web/tests/journey.mjs", "what the browser does, a `file` for node")
	flags.StringVar(&j.pictures, "pictures", "", "`folder` for pictures of the pages; none without it")
	people := flags.Int("people", 1_000_000, "how many people the registry has")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	if *people < fewest {
		return fmt.Errorf("%w: %d people at least", errUsage, fewest)
	}
	j.say = func(what string) { _, _ = fmt.Fprintln(errs, "..", what) }
	j.say("starting two servers")
	w, err := newWorld(ctx, plan{program: *program, people: 3, policy: map[string]string{"policy.home": "RX9"}})
	if err != nil {
		return err
	}
	j.world = w
	err = j.run(ctx, *people)
	return errors.Join(err, j.write(out, *people), w.close())
}

// journey is one day of a registration authority.
type journey struct {
	world    *world
	script   string
	pictures string
	say      func(string)

	said    map[string][]seen // by question
	order   []string          // of the questions
	clicks  []string
	refused []string // how long after the click each server refused the card
	late    bool     // one of them took too long
}

// seen is how long one page took, in milliseconds: as the browser saw it, and
// until its server began to answer.
type seen struct{ page, server float64 }

// line is what the browser's script tells.
type line struct {
	Question string
	Seen     float64
	Server   float64
	Clicks   int
	What     string
	Revoking bool
	Done     bool
}

func (j *journey) run(ctx context.Context, people int) error {
	w := j.world
	j.say(fmt.Sprintf("making a registry of %d people", people))
	if err := fillRegistry(ctx, w.postgres.URL(w.database), people); err != nil {
		return fmt.Errorf("fill the registry: %w", err)
	}
	told, err := j.told(ctx)
	if err != nil {
		return err
	}
	holders := make([]*flow, len(w.servers))
	for i, s := range w.servers {
		holders[i] = &flow{person: newPerson(w.siteOf(s)), holder: w.crowd.holders[0], client: w.client("ES256", nil), ledger: w.ledger}
		if _, err := holders[i].code(ctx); err != nil {
			return fmt.Errorf("sign in at %s: %w", s.name, err)
		}
	}
	j.say("a day at the desk")
	return j.watch(ctx, told, holders)
}

// told is what the script has to know.
func (j *journey) told(ctx context.Context) (map[string]any, error) {
	w := j.world
	manager, _, err := w.manager(ctx)
	if err != nil {
		return nil, err
	}
	second := w.crowd.holders[1].uid
	conn, err := w.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `INSERT INTO positions (id, uid, place, organisation, role_code, role_name)
		VALUES ('journey', $1, 9, 'T2', 'S0080:G0450:R5090', 'RA Agent')`, second); err != nil {
		return nil, err
	}
	agent, _, err := w.signedIn(ctx, second)
	if err != nil {
		return nil, err
	}
	var somebody []string
	for n := range 10 { // who work where that agent does: see folk
		somebody = append(somebody, fmt.Sprintf("5%011d", 2000*(n+1)+1))
	}
	return map[string]any{"origin": w.issuer.String(), "manager": manager, "agent": agent, "somebody": somebody,
		"holder": w.crowd.holders[0].uid, "card": fmt.Sprintf("%X", w.crowd.holders[0].card.Certificate().SerialNumber), "lists": registry.Lists}, err
}

// watch runs the script, and tries the card on each server from the click that
// revokes it.
func (j *journey) watch(ctx context.Context, told map[string]any, holders []*flow) error {
	cmd := exec.CommandContext(ctx, "node", j.script)
	cmd.Env = os.Environ()
	if j.pictures != "" {
		cmd.Env = append(cmd.Env, "SCREENSHOTS="+j.pictures)
	}
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	in, err1 := cmd.StdinPipe()
	from, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return err
	}
	err := json.NewEncoder(in).Encode(told)
	done := false
	for lines := bufio.NewScanner(from); err == nil && lines.Scan(); {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue // a word of node's own
		}
		done = done || l.Done
		if j.hear(l); l.Revoking {
			var reference string
			if reference, err = j.tryUntilRefused(ctx, holders); err == nil {
				err = json.NewEncoder(in).Encode(map[string]string{"reference": reference})
			}
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
	}
	ended := cmd.Wait()
	if err == nil && (ended != nil || !done) {
		err = fmt.Errorf("the browser's day: %w\n%s", ended, wrong.Bytes())
	}
	return err
}

// hear keeps what the script tells.
func (j *journey) hear(l line) {
	switch {
	case l.Question != "":
		if j.said[l.Question] == nil {
			j.order = append(j.order, l.Question)
		}
		j.said[l.Question] = append(j.said[l.Question], seen{l.Seen, l.Server})
	case l.Clicks > 0:
		j.clicks = append(j.clicks, fmt.Sprintf("%s: %d clicks", l.What, l.Clicks))
	}
}

var referenceOn = regexp.MustCompile(`id="reference"[^>]*>\s*([0-9A-Z-]+)`)

// tryUntilRefused tries the card on each server, by the session that it made
// there and anew, until both are refused. It returns the reference that the
// person reads out.
func (j *journey) tryUntilRefused(ctx context.Context, holders []*flow) (string, error) {
	began, reference := time.Now(), ""
	refused := func(f *flow) (bool, error) {
		_, err := f.code(ctx)
		if u, ok := errors.AsType[unexpected](err); ok && strings.Contains(u.says, "CRT-03") {
			return true, nil
		}
		return false, err
	}
	for i, f := range holders {
		err := until(ctx, func() error {
			for _, try := range []*flow{f, {person: newPerson(f.person.site), holder: f.holder, client: f.client, ledger: f.ledger}} {
				no, err := refused(try)
				if err != nil {
					return permanent{err}
				}
				if !no {
					return errors.New("the card is still taken")
				}
				page, err := try.person.open(ctx, http.MethodGet, try.waits, nil)
				if err != nil {
					return permanent{err}
				}
				if m := referenceOn.FindSubmatch(page.body); m != nil {
					reference = string(m[1])
				}
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("%s: %w", j.world.servers[i].name, err)
		}
		took := time.Since(began)
		j.late = j.late || took > refusedBudget
		j.refused = append(j.refused, fmt.Sprintf("%s: %s", j.world.servers[i].name, took.Round(time.Millisecond)))
	}
	if reference == "" {
		return "", errors.New("the refusal has no reference")
	}
	return reference, nil
}

// budgetOf is how long a page may take; 0 is none.
func budgetOf(question string) time.Duration {
	switch {
	case strings.HasPrefix(question, "search"):
		return searchBudget
	case question == "a person's page":
		return personBudget
	}
	return 0
}

func (j *journey) write(out io.Writer, people int) error {
	_, _ = fmt.Fprintf(out, "\nA day of the registration authority in a browser, with %d people and two servers (ms):\n", people)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "page\ttimes\tp50 seen\tworst\tp50 at the server\tworst\tbudget\t\t")
	for _, question := range j.order {
		all := j.said[question]
		column := func(of func(seen) float64) (p50, worst float64) {
			var ms []float64
			for _, s := range all {
				ms = append(ms, of(s))
			}
			slices.Sort(ms)
			return ms[len(ms)/2], ms[len(ms)-1]
		}
		page, worst := column(func(s seen) float64 { return s.page })
		server, slowest := column(func(s seen) float64 { return s.server })
		budget, kept := "", ""
		if b := budgetOf(question); b > 0 {
			budget, kept = b.String(), verdict(worst <= ms(b))
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%s\t\n", question, len(all), page, worst, server, slowest, budget, kept)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s.\nFrom the click that revokes a card to its refusal, by its session and anew: %s (%s %s).\n",
		strings.Join(j.clicks, "; "), strings.Join(j.refused, ", "), verdict(len(j.refused) == len(j.world.servers) && !j.late), refusedBudget)
	return err
}
