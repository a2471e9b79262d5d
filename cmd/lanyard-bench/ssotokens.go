package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/store/redis"
)

// ssoTokens are SSO tokens of the old service whose sessions live. A client
// exchanges each once, so that each exchange wants another. They are put where
// the gateway would have put them: it is the exchange that is measured, and not
// the card.
type ssoTokens struct {
	world *world
	made  []string
	next  atomic.Int64
}

// enoughTokens is for more exchanges than this computer makes while one operation
// is measured.
const enoughTokens = 80_000

var errNoTokens = errors.New("there are no more SSO tokens: measure for less long")

// makeSome makes n, of people who signed in just now, in place of those that are
// left.
func (st *ssoTokens) makeSome(ctx context.Context, n int) error {
	rdb := goredis.NewClient(&goredis.Options{Addr: st.world.redis.Address()})
	defer func() { _ = rdb.Close() }()
	live, now := redis.New(rdb, time.Now), time.Now()
	st.made = nil
	st.next.Store(0)
	for i := range n {
		token := cis1.NewToken()
		s := idp.Session{ID: idp.NewSID(), Key: cis1.KeyOf(token), Subject: st.world.crowd.holders[i%len(st.world.crowd.holders)].uid,
			Method: authenticators.LegacySmartcard, Level: authenticators.AAL3, AuthTime: now, LastAct: now,
			Legacy: &idp.LegacyDesk{Device: "rig", LogSession: "rig", Version: "2.4.10.0"}}
		if err := live.SaveSession(ctx, s); err != nil {
			return err
		}
		st.made = append(st.made, token)
	}
	return nil
}

// take is one that nobody has exchanged.
func (st *ssoTokens) take() (string, error) {
	if n := int(st.next.Add(1)); n <= len(st.made) {
		return st.made[n-1], nil
	}
	return "", errNoTokens
}
