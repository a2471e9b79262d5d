package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/api/account"
	"github.com/lanyard-id/lanyard/api/apply"
	"github.com/lanyard-id/lanyard/api/claim"
	"github.com/lanyard-id/lanyard/api/desk"
	"github.com/lanyard-id/lanyard/api/enrol"
	"github.com/lanyard-id/lanyard/api/ops"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/backchannel"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/idp/provider"
	rules "github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/store/redis"
	"github.com/lanyard-id/lanyard/web"
)

// registry is everything that the service asks of the store of people.
type registry interface {
	idp.People
	idp.Clients
	idp.LastRoles
	idp.Notices
	idp.Journal
	idp.Fences
	idp.Holdings
	idp.Contacts
	idp.SignOuts
	idp.Teller
	idp.Watches
	idp.Logouts
	smartcard.Cards
	smartcard.Rules
	smartcard.GatewayRules
	authority
}

// parts are what a service is put together from.
type parts struct {
	issuer   string
	layout   provider.Layout
	registry registry
	rdb      goredis.UniversalClient
	keys     func() *idp.Keys
	keysAge  time.Duration                       // for which applications may keep them; 0 is a minute
	timers   map[authenticators.Level]idp.Timers // of sessions, where they shall be shorter

	cards       cardTrust     // whose cards are good
	soft        bool          // a card that nobody can vouch for signs in at AAL2
	issuing     *issuing      // of the service's own cards; nil: there are none
	vouching    time.Duration // for which its authorities are asked; 0 is the longest
	authorities *http.Client  // asks them
	outside     *http.Client  // asks the addresses that clients registered

	applications *http.Client // tells applications that sessions have ended
	bridge       BridgeConfig // what is answered of the old service
	usage        *cis1.Usage  // counts who uses that; nil: nobody does

	administration // by the registration authority

	sealer   authenticators.Sealer // seals the secrets of people's authenticators
	webauthn keyTrust              // whose passkeys and security keys are good
	upstream *federated.Config     // the organisation's own provider; nil: there is none

	ready func(context.Context) error // says why people should not come now; nil: it depends on Redis alone
	auto  bool                        // people sign in by themselves: development only

	// How many logins each network may begin at this server a second, and at
	// once, and as many again are the cards that it may ask for; 0 is as many as
	// come.
	beginsEach   float64
	beginsAtOnce int
	origin       func(*http.Request) netip.Addr // where a request comes from; nil: the other end of the connection

	trace *tracing // nil: nothing is traced

	now func() time.Time
	log *slog.Logger
}

// service is one server, ready to listen.
type service struct {
	room    *smartcard.Room
	keys    *passkey.Room // nil: there is no such way
	pages   *api.Server
	ops     http.Handler
	metrics *ops.Metrics
	site    *web.Site
	told    *logoutHouse
	desk    *rules.Service // of the registration authority
}

// wire puts a service together, from the stores at the bottom to the pages.
func wire(p parts) (*service, error) {
	metrics := ops.NewMetrics()
	journal := metrics.Audited(p.registry)
	metrics.Circuit("redis", redis.Watch(p.rdb, p.now, func(operation string, took time.Duration, err error) {
		metrics.StoreCall("redis", operation, took, err)
	}))
	if err := p.trace.redis(p.rdb); err != nil {
		return nil, err
	}
	live := redis.New(p.rdb, p.now)

	checker, err := revocation.New(revocation.Config{Client: p.authorities, Now: p.now, Timeout: p.vouching})
	if err != nil {
		return nil, err
	}
	var vouching smartcard.Revocation = checker
	if p.issuing != nil {
		vouching = ownFirst{p.issuing.ledger, checker}
	}
	room, err := smartcard.New(smartcard.Config{
		Issuer: p.issuer, Origin: origin(p.issuer), Roots: p.cards.roots, Intermediates: p.cards.intermediates, Soft: p.soft,
		Transactions: live, Cards: p.registry, Rules: p.registry, Revocation: vouching, Now: p.now, Seen: p.agentSeen,
	})
	if err != nil {
		return nil, err
	}

	p.trusts, p.address = cardJudge{room}, origin(p.issuer)

	open, err := p.openRooms(room, live)
	if err != nil {
		return nil, err
	}

	clients := idp.WithCommands(p.registry)
	logins := &idp.Logins{
		Store: live, Sessions: live, Standing: live, Codes: live, People: p.registry, Clients: idp.WithOwn(clients, origin(p.issuer)),
		LastRoles: p.registry, Notices: p.registry, Journal: journal, Fences: p.registry, Limits: live, Ways: open.ways, Timers: p.timers, Now: p.now,
	}
	accounts := &idp.Accounts{Holdings: p.registry, Contacts: p.registry, SignOuts: p.registry, Sessions: live, Own: live, Journal: journal, Fences: p.registry, Now: p.now}
	mailed := &idp.MailCodes{Questions: live.Questions("mail"), Teller: p.registry, Limits: live, Now: p.now}
	grants := &idp.Grants{
		Codes: live, Tokens: live, Refreshes: live, People: p.registry, Clients: clients, Journal: journal, Fences: p.registry, Now: p.now,
		Timers: p.timers,
	}

	site, err := web.New()
	if err != nil {
		return nil, err
	}
	// Counted apart: a sign-in by card is one of each, and must not count twice.
	arrivals := func() *api.Arrivals { return api.NewArrivals(p.beginsEach, p.beginsAtOnce, p.now) }
	begins, asks, redeems := arrivals(), arrivals(), arrivals()

	browser := &api.Browser{Secure: isHTTPS(p.issuer)}
	pages := api.New(api.Config{
		Logins: logins, Browser: browser, Rooms: open.rooms,
		Site: site, Metrics: metrics, Log: p.log, Origin: p.origin, Trace: p.trace.routes(),
		Asks: asks.Wait, Begins: begins.Wait, Passwords: open.codes,
		Recovery: &idp.Recovery{Contacts: p.registry, Holdings: p.registry, Mailed: mailed, Accounts: accounts},
	})
	if open.away != nil {
		pages.Federated = open.away
	}
	claims := claim.New(claim.Config{Server: pages, Rooms: open.enrol, Rules: &rules.Claims{
		Contacts: p.registry, Insured: p.registry, Keeper: p.registry, Mailed: mailed, Half: live.Questions("claim"), Limits: live,
		Puzzles: &idp.Puzzles{Sealer: p.sealer, Limits: live, Now: p.now}, Now: p.now,
	}})
	pages.Claim = claims.Mount
	pages.Account = account.New(account.Config{Server: pages, Accounts: accounts, Rooms: open.enrol, Passwords: open.codes, Mailed: mailed, Returned: claims.Returned, Now: p.now}).Mount
	if open.keys != nil {
		enrolling := &rules.Enrolling{Keeper: p.registry, Codes: p.registry, Limits: live, Now: p.now}
		pages.Enrol = enrol.New(enrol.Config{Server: pages, Rules: enrolling, Room: open.keys, Now: p.now}).Mount
	}
	if p.issuing != nil {
		pages.Cards = http.StripPrefix(cardPath, p.issuing.authority.Handler())
	}
	pages.Apply = apply.New(apply.Config{Server: pages, Rules: &rules.Applying{Keeper: p.registry, Limits: live, Now: p.now}, Now: p.now}).Mount
	pages.Registration = p.mountPages(pages, p.registry, live, accounts)
	pages.Registry = p.mountAdministration(pages, live, grants, accounts)
	protocol, err := provider.New(provider.Config{
		Issuer: p.issuer, Layout: p.layout, Logins: logins, Grants: grants, Clients: clients,
		SigningKeys: p.keys, KeysMaxAge: p.keysAge, Browser: browser, Pages: pages, Languages: site.Languages(), Outside: p.outside, Automatic: p.auto, RequestID: api.RequestID, Counts: metrics, Log: p.log,
		Limits: live, Address: api.Address, Arrivals: begins.Wait,
	})
	if err != nil {
		return nil, err
	}
	pages.Protocol = protocol
	told := &logoutHouse{
		lookout: &idp.Lookout{Watches: p.registry, Sessions: live, Own: live, People: p.registry, Fences: p.registry, Now: p.now},
		teller: &backchannel.Teller{Queue: p.registry, Clients: p.registry, Signer: protocol, HTTP: p.applications, Count: metrics.Logout,
			Pause: tellEvery, Now: p.now, Log: p.log},
		log: p.log,
	}
	agents := desk.New(desk.Config{Origin: origin(p.issuer), Room: room, Desks: live, Refusals: logins, Words: pages, Arrivals: redeems.Wait, Now: p.now, Log: p.log})
	p.mountBridge(pages, agents, room, live, journal, grants)
	pages.Desk = &api.Desk{Desks: live, Shown: live, Card: room, Alias: hostOf(p.issuer), Origin: origin(p.issuer), Mount: agents.Mount}
	return &service{room: room, keys: open.keys, site: site, pages: pages, ops: metrics.Handler(p.readiness(live.Ping)), metrics: metrics, told: told,
		desk: p.registryService(p.registry, live, accounts)}, nil
}

// readiness asks all that a server needs, one after the other.
func (p parts) readiness(redis func(context.Context) error) func(context.Context) error {
	if p.ready == nil {
		return redis
	}
	return func(ctx context.Context) error {
		if err := p.ready(ctx); err != nil {
			return err
		}
		return redis(ctx)
	}
}

// origin is the web origin of the pages, which stand at the root of the
// issuer's host. Browsers leave a scheme's own port out of it.
func origin(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	host := u.Host
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		host = u.Hostname()
	}
	return u.Scheme + "://" + host
}

// hostOf is the host of the pages, by which agents at desks know the service.
func hostOf(issuer string) string {
	_, host, _ := strings.Cut(origin(issuer), "://")
	return host
}

func isHTTPS(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && u.Scheme == "https"
}
