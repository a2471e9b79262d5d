// Package revocation says whether a card's certificate was withdrawn before its
// end.
//
// It asks the addresses that stand in the certificate itself, which its issuer
// signed: first the OCSP responders (RFC 6960), then the revocation lists (RFC
// 5280 §5). What comes back is worth what its signature is worth and no more:
// an answer that is unsigned, of somebody else, about something else or too old
// is no answer. Where none is left it says Unavailable, and what that means is
// for the caller to decide.
//
// It knows nothing of registered cards, of paths or of people: the caller has
// judged the path first, and the issuer that it brings is trusted here.
//
// Answers are remembered for a minute, so that a card shown twice is asked
// about once, and a signed answer outlives an outage of its source until the
// next one was due, for an hour at most. That a certificate was revoked is not
// forgotten in an outage at all: only a newer signed answer takes it back.
package revocation

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Status is what is known of a certificate.
type Status int

// What can be known. Unavailable is the zero value, so that what was forgotten
// lets nobody in.
const (
	Unavailable Status = iota // no source could say
	Good                      // not revoked
	Revoked                   // revoked, or on hold
	Unknown                   // its own authority does not know it
)

// String returns the name of s in lower case.
func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	case Unknown:
		return "unknown"
	default:
		return "unavailable"
	}
}

// How long, and how much.
const (
	limit = 2 * time.Second // for one answer, whatever its sources do: the longest that may be set
	skew  = time.Minute     // how far the clock of a source may be off

	// undated is how long an answer counts that does not say when the next one
	// is due (RFC 6960 §4.2.2.1: "newer information is available all the time").
	undated = 5 * time.Minute

	askAgain  = time.Minute      // an answer this young is not asked for again
	listAgain = 10 * time.Minute // nor a list, which is larger
	keep      = time.Hour        // the longest that an answer stands in for a source that is down

	// DefaultMaxList is the size in bytes of the largest list that is read,
	// unless Config says another.
	DefaultMaxList = 20 << 20
)

// Config is what a Checker needs. Client and Now must be there.
type Config struct {
	Client *http.Client     // asks addresses that stand in certificates: it must not reach what strangers may not
	Now    func() time.Time // the clock that answers are judged by

	Timeout     time.Duration // for one answer, whatever its sources do; 0, and more than two seconds, mean two
	DemandNonce bool          // take no OCSP answer that was made before the question
	MaxList     int64         // bytes of the largest list that is read; 0 means DefaultMaxList
	Rand        io.Reader     // nil means crypto/rand
}

// Checker checks certificates. It is safe for concurrent use: however many ask
// about one certificate at once, its sources are asked once.
type Checker struct {
	client  *http.Client
	now     func() time.Time
	limit   time.Duration
	demand  bool
	maxList int64
	rand    io.Reader

	asking  flights[certificate, answer]
	answers answers
	reading flights[source, *keptList]
	lists   lists
}

// certificate names a certificate and the key that issued it: SHA-256 of both.
type certificate [sha256.Size]byte

func nameOf(leaf, issuer *x509.Certificate) certificate {
	h := sha256.New()
	h.Write(leaf.Raw)
	h.Write(issuer.RawSubjectPublicKeyInfo)
	return certificate(h.Sum(nil))
}

// New returns a checker, or an error that names what c lacks. It follows no
// redirect and keeps no cookie, whatever c.Client would do: an address that no
// authority signed is not asked.
func New(c Config) (*Checker, error) {
	if c.Client == nil || c.Now == nil {
		return nil, errors.New("revocation: no client or clock")
	}
	if c.MaxList < 0 {
		return nil, errors.New("revocation: the size of lists is below nought")
	}
	if c.Timeout <= 0 || c.Timeout > limit {
		c.Timeout = limit
	}
	if c.MaxList == 0 {
		c.MaxList = DefaultMaxList
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	client := *c.Client
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Checker{client: &client, now: c.Now, limit: c.Timeout, demand: c.DemandNonce, maxList: c.MaxList, rand: c.Rand}, nil
}

// Check says whether leaf, which issuer has issued, is revoked. It takes two
// seconds at most, or less where Config says so. The error goes with
// Unavailable alone and says why, for the log; if ctx is done before that is
// known, it wraps ctx's.
func (c *Checker) Check(ctx context.Context, leaf, issuer *x509.Certificate) (Status, error) {
	name := nameOf(leaf, issuer)
	if a, ok := c.answers.fresh(name, c.now()); ok {
		return a.status, nil
	}

	waiting, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	a, err := c.asking.do(waiting, name, func(ctx context.Context) (answer, error) {
		if a, ok := c.answers.fresh(name, c.now()); ok {
			return a, nil // it came between the look and the leave to ask
		}
		return c.ask(ctx, name, leaf, issuer)
	})
	if err == nil {
		return a.status, nil
	}
	if a, ok := c.answers.usable(name, c.now()); ok {
		return a.status, nil
	}
	return Unavailable, fmt.Errorf("check revocation: %w", err)
}

// answer is what a source said and signed.
type answer struct {
	status Status
	made   time.Time // thisUpdate: when it was known to be so
	until  time.Time // nextUpdate: from when on it is too old
	heard  time.Time // when the source said so, by our clock
}

// ask asks the sources of leaf one after the other until one answers. A source
// has what those before it left of its share of the time: of two, the first
// has half of it, and the second all that is left.
func (c *Checker) ask(ctx context.Context, name certificate, leaf, issuer *x509.Certificate) (answer, error) {
	sources := c.sources(leaf, issuer)
	if len(sources) == 0 {
		return answer{}, errors.New("the certificate names no source that can be asked")
	}
	ends, _ := ctx.Deadline() // every flight has one
	began := ends.Add(-limit)
	asking := c.limit / 10 * 9 // for all sources together; the rest is for remembering

	var failed error
	for i, ask := range sources {
		share, cancel := context.WithDeadline(ctx, began.Add(asking*time.Duration(i+1)/time.Duration(len(sources))))
		a, err := ask(share)
		cancel()
		if err == nil {
			return c.answers.put(name, a, c.now()), nil
		}
		if failed == nil {
			failed = err
		} else {
			failed = fmt.Errorf("%w; %w", failed, err)
		}
	}
	return answer{}, failed
}

// sources are the ways to learn of leaf that its issuer wrote into it: OCSP
// before lists, because it is the smaller and the newer.
func (c *Checker) sources(leaf, issuer *x509.Certificate) []func(context.Context) (answer, error) {
	var list []func(context.Context) (answer, error)
	for _, address := range addresses(leaf.OCSPServer) {
		list = append(list, func(ctx context.Context) (answer, error) {
			a, err := c.askResponder(ctx, address, leaf, issuer)
			return a, about("OCSP", address, err)
		})
	}
	for _, address := range addresses(leaf.CRLDistributionPoints) {
		list = append(list, func(ctx context.Context) (answer, error) {
			a, err := c.askList(ctx, address, leaf, issuer)
			return a, about("revocation list", address, err)
		})
	}
	return list
}

// about says of what source err is.
func about(kind, address string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s of %s: %w", kind, address, err)
}
