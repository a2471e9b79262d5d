package idp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
	"github.com/lanyard-id/lanyard/store/redis"
)

const (
	nurse   = "555000000101"
	another = "555000000102"
	family  = "family-abcd"
)

// aCode is of the family, as the codes are that a login gives.
var aCode = family + strings.Repeat("c", 43)

type people map[string]idp.Person

func (p people) Person(_ context.Context, uid string) (idp.Person, error) { return p[uid], nil }

func (p people) PersonNow(_ context.Context, uid string) (idp.Person, error) { return p[uid], nil }

// lagging are people of whom this server remembers how they were.
type lagging struct {
	people
	remembered people
}

func (l lagging) Person(ctx context.Context, uid string) (idp.Person, error) {
	return l.remembered.Person(ctx, uid)
}

type clients map[string]idp.Client

func (c clients) Client(_ context.Context, id string) (idp.Client, error) {
	client, ok := c[id]
	if !ok {
		return idp.Client{}, idp.ErrClientUnknown
	}
	return client, nil
}

// errDown is what a journal says that cannot write.
var errDown = errors.New("the journal is down")

type down struct{}

func (down) Record(context.Context, idp.Event, ...idp.Fence) error { return errDown }

// forgetful are tokens that cannot be revoked just now.
type forgetful struct{ idp.Tokens }

func (forgetful) RevokeFamily(context.Context, string, time.Time) error { return idp.ErrUnavailable }

// ward is where a nurse with two positions signs in, on stores that the
// service has too and a clock that the test moves.
type ward struct {
	t      *testing.T
	now    time.Time
	server *miniredis.Miniredis
	rdb    *goredis.Client
	live   *redis.Store
	people people
	logins *idp.Logins
	grants *idp.Grants
	events func() []idp.Event
}

// recorded counts what the journal has of a kind.
func (w *ward) recorded(kind idp.Kind) (n int) {
	for _, e := range w.events() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func aWard(t *testing.T) *ward {
	t.Helper()
	registry, err := memory.New(directory.Document{}, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{t: t, now: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC), server: miniredis.RunT(t)}
	w.rdb = goredis.NewClient(&goredis.Options{Addr: w.server.Addr()})
	t.Cleanup(func() { _ = w.rdb.Close() })
	now := func() time.Time { return w.now }
	w.events = registry.Events
	w.live = redis.New(w.rdb, now)
	w.people = people{nurse: {UID: nurse, Profile: idp.Verified, Positions: []idp.Position{{ID: "1"}, {ID: "2"}}}}
	registered := clients{"ward": {ID: "ward", MinLevel: authenticators.AAL1}}
	w.logins = &idp.Logins{Store: w.live, Sessions: w.live, Codes: w.live, People: w.people, Clients: registered,
		LastRoles: registry, Notices: registry, Journal: registry, Fences: registry, Now: now}
	w.grants = &idp.Grants{Codes: w.live, Tokens: w.live, Refreshes: w.live, People: w.people, Clients: registered, Journal: registry, Fences: registry, Now: now}
	return w
}

// pass lets time go by, for Redis as well.
func (w *ward) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.server.FastForward(d)
}

// restrict is what the registry does when the nurse has to be verified again.
func (w *ward) restrict() {
	p := w.people[nurse]
	p.Profile = idp.Restricted
	w.people[nurse] = p
}

// saveCode keeps the code as the end of a login does.
func (w *ward) saveCode() {
	w.t.Helper()
	g := idp.Grant{Family: family, ClientID: "ward", Subject: nurse, Scopes: []string{"openid"}}
	if err := w.live.SaveCode(w.t.Context(), aCode, g, w.now.Add(idp.CodeLife)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) redeem() (token string, err error) {
	_, _, tokens, err := w.grants.Redeem(w.t.Context(), idp.Redemption{Code: aCode, ClientID: "ward"}, "request")
	return tokens.Access, err
}

func (w *ward) mustRedeem() string {
	w.t.Helper()
	token, err := w.redeem()
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// wantHolder checks what userinfo is told of token: nil, or why nothing.
func (w *ward) wantHolder(token string, want error) {
	w.t.Helper()
	if _, _, err := w.grants.Holder(w.t.Context(), token); !errors.Is(err, want) {
		w.t.Errorf("Holder: %v, want %v", err, want)
	}
}

// begin keeps a login that asks for a role.
func (w *ward) begin(id string) idp.Login {
	w.t.Helper()
	l := idp.Login{ID: id, ClientID: "ward", Scopes: []string{"openid", "selectedrole"}, Wants: []idp.ACR{idp.AAL3Any}, StartedAt: w.now}
	if err := w.live.AddLogin(w.t.Context(), l); err != nil {
		w.t.Fatal(err)
	}
	return l
}

// signIn shows the nurse's card in answer to question once.
func (w *ward) signIn(l idp.Login, once string) (idp.Session, string, error) {
	return w.logins.SignIn(w.t.Context(), l, "request", w.evidence(once), "")
}

// evidence is what the nurse's card shows in answer to question once.
func (w *ward) evidence(once string) authenticators.Evidence {
	return authenticators.Evidence{Subject: nurse, Method: authenticators.Smartcard, Level: authenticators.AAL3, At: w.now, Once: once}
}

func (w *ward) mustSignIn(l idp.Login) idp.Session {
	w.t.Helper()
	s, _, err := w.signIn(l, "once")
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// sessions is how many there are.
func (w *ward) sessions() int { return len(w.rdb.Keys(w.t.Context(), "session:*").Val()) }

func (w *ward) look(l idp.Login, s idp.Session) idp.View {
	w.t.Helper()
	v, err := w.logins.Look(w.t.Context(), l, s.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}
