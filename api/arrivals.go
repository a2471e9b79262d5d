package api

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lanyard-id/lanyard/idp"
)

// maxNetworks bounds how many networks one server counts for. Where more come,
// one of them begins afresh: it is a bound on what a stranger makes us keep,
// and the overload has one of its own.
const maxNetworks = 10_000

// Arrivals bounds how many logins each network may begin at this server, or how
// many cards it may ask for, or how many links its agents may bring: each is kept for minutes. It is generous, for a
// whole hospital may come from one address.
type Arrivals struct {
	each  rate.Limit
	burst int
	now   func() time.Time

	mu    sync.Mutex
	known map[netip.Prefix]*rate.Limiter
}

// NewArrivals lets each network begin so many logins a second, and burst at
// once. With 0 a second it is nil, which lets all begin.
func NewArrivals(perSecond float64, burst int, now func() time.Time) *Arrivals {
	if perSecond <= 0 {
		return nil
	}
	return &Arrivals{each: rate.Limit(perSecond), burst: burst, now: now, known: map[netip.Prefix]*rate.Limiter{}}
}

// Wait counts a login, or a card, of the network that the request of ctx comes
// from, and returns 0, or how long it must wait: then it was not counted.
func (a *Arrivals) Wait(ctx context.Context) time.Duration {
	if a == nil {
		return 0
	}
	now := a.now()
	r := a.of(idp.Network(Address(ctx))).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (a *Arrivals) of(network netip.Prefix) *rate.Limiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.known[network]
	if l == nil {
		for some := range a.known { // whichever comes first, which is another each time
			if len(a.known) < maxNetworks {
				break
			}
			delete(a.known, some)
		}
		l = rate.NewLimiter(a.each, a.burst)
		a.known[network] = l
	}
	return l
}
