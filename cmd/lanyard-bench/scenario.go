package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// scenario is one fault with the promise that must hold through it.
type scenario struct {
	name string // of the fault plan: F1 and on
	rule string // what must hold
	run  func(ctx context.Context, t *trial) error
}

// trial is one run of a scenario.
type trial struct {
	program string // the server's binary
	source  string // the repository, for what needs its history
	full    bool   // the full numbers, and not those that fit among other tests
	keep    bool   // logs of a world in which something broke
	report  func(format string, args ...any)
}

// size returns the full number or the short one.
func (t *trial) size(full, short int) int {
	if t.full {
		return full
	}
	return short
}

// in builds a world, does what is to be done in it, and closes it.
func (t *trial) in(ctx context.Context, p plan, do func(w *world) error) error {
	p.program = t.program
	w, err := newWorld(ctx, p)
	if err != nil {
		return fmt.Errorf("build the world: %w", err)
	}
	err = do(w)
	if err != nil && t.keep {
		w.keep = true
		t.report("logs and configuration are in %s", w.dir)
	}
	return errors.Join(err, w.close())
}

// scenarios are all of them, in the order in which they run.
func scenarios() []scenario {
	return []scenario{
		{"F1", "of kill -9 of one server nobody notices but who was just being answered, and it is ready again in 2 s", killServer},
		{"F2", "servers are replaced one after another under load, and no request fails", rollServers},
		{"F4", "what Redis forgets, killed and restored, does not bring back a code or a session", killRedis},
		{"F5", "nor does a replica that was cut off and took over", failOver},
		{"F6", "with Redis frozen or slow people are told so within 2 s, keys and discovery answer, and all is well 5 s after", freezeRedis},
		{"F7", "PostgreSQL loses nothing that was acknowledged when it is killed", killPostgres},
		{"F8", "with PostgreSQL frozen or full people are told so within 2 s, keys and discovery answer, and all is well 5 s after", freezePostgres},
		{"F12", "an answer that is lost after the code was used costs a new sign-in and nothing else", loseAnswers},
		{"F13", "with a full disk or memory nothing is acknowledged that is not kept, and all is well when there is room", fillStores},
		{"F17", "signing keys change under load and no client fails; a revoked key is not accepted", rotateKeys},
		{"F18", "a server whose keys cannot be opened does not start, and makes no others", loseKeyset},
		{"F19", "the schema changes under the servers of the release before, and back, and nobody notices", upgradeSchema},
		{"F22", "with what sessions of the old service stand on gone or slow applications are told so within 2 s, and of one that ended no token is made", breakBridge},
		{"F23", "of 50 applications that are told of a session's end those that are slow, broken or hostile hold up no other", tellApplications},
		{"F25", "of many that redeem one code on two servers one gets tokens", raceCodes},
		{"F26", "of many that use one challenge or one assertion on two servers one succeeds", raceOnce},
		{"F35", "a server with an unsafe setting does not start, and says which", refuseSettings},
		{"F36", "no secret is in any log, metric, trace or dump, nor in what the stores keep", findLeaks},
		{"S6", "of who signs out everywhere on one server nothing is taken on another 5 s later", signOutEverywhere},
		{"A2", "of many that show one step of one-time codes on two servers one signs in", raceSteps},
		{"D5", "whatever happens to the agent, the reader, the card or the network at a desk, a sign-in ends within 5 s and says why, or goes on, and nothing is left behind", breakDesk},
		{"F37", "every token that was given out has its row in the journal, written before", killBetween},
		{"F39", "who claims or makes a profile, or has forgotten a password, cannot tell by the answer, its time or what the stores are asked whether there is somebody with that address or number", tellNothing},
		{"F40", "of mails none is lost and none comes more often than twice, whoever is killed, and twice only where an answer was lost", carryMails},
	}
}

// runAll runs the named scenarios, or all, and returns how many broke.
func runAll(ctx context.Context, t trial, only string, out io.Writer) (broken int, err error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		if name = strings.ToUpper(strings.TrimSpace(name)); name != "" {
			wanted[name] = true
		}
	}
	for _, s := range scenarios() {
		if only != "" && !wanted[s.name] {
			continue
		}
		delete(wanted, s.name)
		if ctx.Err() != nil {
			return broken, ctx.Err()
		}
		began := time.Now()
		_, _ = fmt.Fprintf(out, "%-4s %s\n", s.name, s.rule)
		t.report = func(format string, args ...any) { _, _ = fmt.Fprintf(out, "     "+format+"\n", args...) }
		err := s.run(ctx, &t)
		verdict := "holds"
		if err != nil {
			broken++
			verdict = "BROKEN: " + strings.ReplaceAll(err.Error(), "\n", "\n     ")
		}
		_, _ = fmt.Fprintf(out, "     %s (%s)\n", verdict, time.Since(began).Round(100*time.Millisecond))
	}
	for name := range wanted {
		return broken, fmt.Errorf("there is no scenario %q", name)
	}
	return broken, nil
}
