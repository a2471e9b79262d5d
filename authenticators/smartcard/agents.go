package smartcard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// AgentRule says from when on versions of a program at desks are not taken.
type AgentRule struct {
	Except string    // the one version that stays; empty: none
	Below  string    // versions before this one; empty: all
	From   time.Time // zero: they are taken
}

// Hits says whether r ends version, now or later.
func (r AgentRule) Hits(version string) bool { return r.hits(version) }

// hits says whether r is about version.
func (r AgentRule) hits(version string) bool {
	return !r.From.IsZero() && (r.Except == "" || version != r.Except) && (r.Below == "" || before(version, r.Below))
}

// before compares versions part by part, as numbers. What is no number comes
// before every number, and a part that is not there is nought: a version that
// nobody can place is taken for an old one.
func before(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if c := cmp.Compare(part(as, i), part(bs, i)); c != 0 {
			return c < 0
		}
	}
	return false
}

func part(version []string, i int) int64 {
	if i >= len(version) {
		return 0
	}
	n, err := strconv.ParseUint(version[i], 10, 31)
	if err != nil {
		return -1
	}
	return int64(n)
}

// ErrAgent refuses a program at a desk whose version is no longer taken.
const ErrAgent authenticators.Refusal = "agents of this version are no longer taken"

// AgentEnded is ErrAgent with the instant from which on it is so.
type AgentEnded struct{ From time.Time }

// Error returns the reason.
func (AgentEnded) Error() string { return ErrAgent.Error() }

// Is makes every AgentEnded an ErrAgent, and so a refusal.
func (AgentEnded) Is(target error) bool {
	return target == ErrAgent || target == authenticators.ErrRefused
}

// agentEnds returns the instant from which on a is not taken, zero if no rule
// is about it.
func (r *Room) agentEnds(ctx context.Context, a Agent) (time.Time, error) {
	rules, err := r.rules.AgentRules(ctx, a.Name)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask about agents: %w", err)
	}
	var ends time.Time
	for _, rule := range rules {
		if rule.hits(a.Version) && (ends.IsZero() || rule.From.Before(ends)) {
			ends = rule.From
		}
	}
	return ends, nil
}

// Ahead is what ends soon at a desk: as long before as people are told. What is
// zero does not.
type Ahead struct {
	Agent       time.Time // agents of this version
	Certificate time.Time // the card's
	Series      time.Time // cards of this series
}

// soon returns at if people are told of it now, and zero if not.
func (r *Room) soon(ctx context.Context, at, now time.Time) (time.Time, error) {
	if !now.Before(at) { // never, or already
		return time.Time{}, nil
	}
	days, err := r.rules.WarnDays(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("days to warn: %w", err)
	}
	if len(days) == 0 || now.Before(at.AddDate(0, 0, -slices.Max(days))) {
		return time.Time{}, nil
	}
	return at, nil
}
