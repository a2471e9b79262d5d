package idp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Limits counts tries at what can be guessed, over all servers together.
//
// A try is counted before it is judged: of many guesses at the same instant no
// more are judged than the limit lets through. What nobody can guess, the
// signature of a card or a key, is not counted at all, so no stranger can keep
// anybody from signing in with one.
type Limits interface {
	// Attempt counts a try in one atomic step and says nil if it may be
	// judged. Limited says how long to wait first, ErrLocked that no try is
	// judged until Clear; neither counts the try.
	Attempt(ctx context.Context, key LimitKey, limit Limit, now time.Time) error

	// Clear forgets the failures of key: after a success, after one of the
	// same account with what cannot be guessed, or by an administrator.
	Clear(ctx context.Context, key LimitKey) error
}

// LimitKey names what is counted together.
type LimitKey struct {
	// Account is whose proof is tried: a person's uid or a client's id, found
	// in the registry and never as somebody wrote it. A counter for each
	// spelling of a name would be one that never fills.
	Account string

	// Authenticator is what is tried, by our own word for it.
	Authenticator string

	// Network is where the tries come from, where each place counts for
	// itself. The zero value counts them all together.
	Network netip.Prefix
}

// Limit says what failures cost.
type Limit struct {
	Free           int           // failures in a row that cost nothing
	First, Longest time.Duration // the wait after the next one, which doubles up to the longest
	Most           int           // failures in a row after which nothing is judged; 0 is never
	Life           time.Duration // how long failures count
}

// GuessLimit is that of what a person knows or reads off a screen.
var GuessLimit = Limit{Free: 5, First: time.Second, Longest: 15 * time.Minute, Most: 100, Life: 30 * 24 * time.Hour}

// SecretLimit is that of a client's secret, for each network that tries it.
// Nothing locks it: the client itself must get in from elsewhere, and at a
// shared address after a wait.
var SecretLimit = Limit{Free: 5, First: time.Second, Longest: 15 * time.Minute, Life: 24 * time.Hour}

// After says what so many failures in a row cost: how long the next try must
// wait, or that there is none.
func (l Limit) After(failures int) (wait time.Duration, locked bool) {
	if l.Most > 0 && failures >= l.Most {
		return 0, true
	}
	if failures <= l.Free {
		return 0, false
	}
	wait = l.First
	for range failures - l.Free - 1 {
		if wait *= 2; wait >= l.Longest {
			break
		}
	}
	return min(wait, l.Longest), false
}

// Limited is ErrLimited with how long to wait.
type Limited struct{ Wait time.Duration }

// Error returns the reason.
func (l Limited) Error() string { return ErrLimited.Error() + ": wait " + l.Wait.String() }

// Is makes every Limited an ErrLimited.
func (l Limited) Is(target error) bool { return target == ErrLimited }

// Network is where addr counts as: itself, or its /64 where it is IPv6, because
// one computer has as many addresses as it likes in that.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // nobody knows where it comes from
	}
	return p
}

// Pause is how long whoever is told err should wait before they try again, in
// whole seconds; 0 where waiting does not help. After an outage it differs
// from one to the next, so that they do not all come back at once.
func Pause(err error) time.Duration {
	if limited, ok := errors.AsType[Limited](err); ok {
		return max(time.Second, (limited.Wait + time.Second - 1).Truncate(time.Second))
	}
	if errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return 5*time.Second + time.Duration(rand.IntN(6))*time.Second //nolint:gosec // spreads a crowd: nothing depends on nobody knowing it
	}
	return 0
}
