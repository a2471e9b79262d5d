package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/idp/provider"
	rules "github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/store/redis"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a production server on PostgreSQL and Redis",
		Long: "Runs one server. Any number of them may stand behind a balancer, on one PostgreSQL and one Redis; each can be\n" +
			"replaced at any moment. When it is ready it prints one line that begins with \"ready\". It starts with nothing that\n" +
			"is not safe, and says why, one line for each reason. SIGTERM lets it finish what is in hand; a second one does not.",
		Args: cobra.NoArgs,
	}
	p := onConfig(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := p.settle(time.Now)
		if err != nil {
			return err
		}
		collectSeldom()
		return runServe(cmd.Context(), s, cmd.OutOrStdout(), logAt(os.Stderr, s.Log.Level))
	}
	return cmd
}

// collectSeldom lets the heap grow to four times what is live before it is
// collected. Little of ours lives longer than its request: with Go's own twice,
// userinfo at 16 at once took half as much time again. Operators who know
// better say so with GOGC, or bound the whole with GOMEMLIMIT.
func collectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
}

// production is a server in production, before it listens.
type production struct {
	*service
	registry   *postgres.Store
	rdb        goredis.UniversalClient
	url        string           // of PostgreSQL
	now        func() time.Time // the registry's own, too
	log        *slog.Logger
	leaving    atomic.Bool
	fencesLeft bool // standing, of which operators were told
	house      *keyHouse
	digests    *digestHouse // nil: nobody is told of worklists
	usage      *cis1.Usage  // of the old service

	closers []func() // in the order in which things were opened
}

// close lets go of everything, the last first.
func (p *production) close() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		p.closers[i]()
	}
}

// runServe runs a server until ctx is done. It prints one line to out when
// people can come.
func runServe(ctx context.Context, s settled, out io.Writer, log *slog.Logger) error {
	p, err := wireProduction(ctx, s, log)
	if err != nil {
		return err
	}
	defer p.close()
	addresses := []string{s.Listen, s.OpsListen}
	if s.Bridge.Listen != "" {
		addresses = append(addresses, s.Bridge.Listen)
	}
	listeners, err := listenOn(ctx, addresses...)
	if err != nil {
		return err
	}
	if s.Bridge.SHA1 {
		log.WarnContext(ctx, "bridge.sha1 is on: cards may sign with SHA-1 at the gateway of the old service")
	}
	if s.Smartcard.Revocation == "soft" {
		log.WarnContext(ctx, "smartcard.revocation is soft: cards that nobody can vouch for sign in at AAL2, and the journal marks each")
	}
	if s.SMTP.Address == "" {
		log.WarnContext(ctx, "smtp.address names no mail server: nobody is told by mail of what changes, and codes by mail do not come")
	}

	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if err := p.keepUses(last); err != nil {
			log.WarnContext(ctx, "the last uses of the old service were not counted", "error", err.Error())
		}
	}()
	defer p.sealLast(ctx) // once nothing comes any more, and nobody else seals
	work, rest := context.WithCancel(context.WithoutCancel(ctx))
	var chores sync.WaitGroup
	chores.Go(func() { p.keepHouse(work) })
	chores.Go(func() { p.keepKeys(work) })
	chores.Go(func() { p.carryMails(work, p.postman(s)) })
	chores.Go(func() { p.keepDigests(work) })
	chores.Go(func() { p.told.run(work) })
	defer func() { rest(); chores.Wait() }()

	parted := make(chan struct{})
	p.pages.Desk.Closing = parted
	sites := []site{{listeners[0], p.pages.Routes()}, {listeners[1], p.ops}}
	if s.Bridge.Listen != "" {
		sites = slices.Insert(sites, 1, site{listeners[2], p.pages.LegacyRoutes()})
	}
	served := make(chan error, 1)
	go func() {
		served <- serve(ctx, log, leave{notice: func() { p.leaving.Store(true) }, delay: s.Shutdown.DrainDelay, parted: func() { close(parted) }, drain: s.Shutdown.Drain}, sites...)
	}()
	log.InfoContext(ctx, "ready", "issuer", s.Issuer, "listen", listeners[0].Addr().String(), "ops_listen", listeners[1].Addr().String())
	if s.Bridge.Listen != "" {
		log.InfoContext(ctx, "the old service is answered", "listen", listeners[2].Addr().String())
	}
	_, err = fmt.Fprintf(out, "ready issuer=%s ops=http://%s\n", s.Issuer, listeners[1].Addr())
	return errors.Join(err, <-served)
}

// wireProduction opens what the configuration names, refuses what is not safe,
// and puts the service together.
func wireProduction(ctx context.Context, s settled, log *slog.Logger) (*production, error) {
	p := &production{url: s.secrets.postgresURL, now: time.Now, log: log}
	if err := p.open(ctx, s); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *production) open(ctx context.Context, s settled) error {
	if err := checkServers(ctx, s, p.log); err != nil {
		return err
	}
	trace, stopTrace, err := startTracing(ctx, s.Tracing.Endpoint, p.log)
	if err != nil {
		return refusal{"tracing.endpoint", err.Error(), "write the collector's URL, or leave it out"}
	}
	p.closers = append(p.closers, func() {
		sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = stopTrace(sending) // nobody is left who could be told
	})
	p.rdb = newRedis(s.Redis, s.secrets, &refusals{}) // what there is to refuse was refused
	p.closers = append(p.closers, func() { _ = p.rdb.Close() })
	store, closeStore, err := openProduction(ctx, s, p.log, trace.sql())
	if err != nil {
		return err
	}
	p.registry, p.closers = store, append(p.closers, closeStore)
	cards, closeCards, err := openCardAuthority(s, store, p.now)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, closeCards)
	var no refusals
	err = checkRegistry(ctx, store, &no)
	if err := errors.Join(no.err(), err); err != nil {
		return err
	}
	admin := administration{approvals: s.approvals(), whole: store.Document, everyone: store.AllClients}
	if cards != nil {
		admin.certifies = cards.authority
	}
	p.usage = cis1.NewUsage(p.now)
	p.service, err = wire(parts{usage: p.usage, //nolint:contextcheck // what it makes answers requests, which have their own
		issuer: s.Issuer, layout: provider.Layout(s.Layout), registry: store, rdb: p.rdb, keys: store.SigningKeys, keysAge: s.keyPolicy().MaxAge(), timers: s.timers(),
		cards: s.trust, soft: s.Smartcard.Revocation == "soft", vouching: s.Smartcard.OCSPTimeout,
		authorities: newOutside(false, s.Smartcard.OCSPNetworks...), outside: newOutside(false, s.Clients.Networks...), applications: newApplications(false, s.Backchannel.Networks...), bridge: s.Bridge,
		beginsEach: float64(s.Policy.BeginsEach), beginsAtOnce: s.Policy.BeginsAtOnce, origin: originOf(s.TrustedProxies),
		webauthn: s.keyTrust(), upstream: s.upstream(),
		administration: admin,
		issuing:        cards,
		sealer:         store.Sealer(), ready: p.ready, trace: trace, now: time.Now, log: p.log,
	})
	if err != nil {
		return err
	}
	if s.SMTP.Digests {
		p.digests = &digestHouse{digests: &rules.Digests{Service: p.desk}}
	}
	if s.metadata != nil && p.keys != nil {
		p.house = &keyHouse{metadata: s.metadata, rechecks: &idp.Rechecks{Held: store, Judge: p.keys.Recheck, People: store, Journal: store, Now: p.now}}
		p.metrics.Metadata(s.metadata.NextUpdate, func() bool { return s.metadata.Stale() > 0 })
	}
	return nil
}

// checkRegistry refuses a registry without keys that open, and one in which an
// application is registered that puts people at risk. An error is of a registry
// that does not answer.
func checkRegistry(ctx context.Context, store *postgres.Store, no *refusals) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := store.LoadKeys(ctx); errors.Is(err, idp.ErrUnavailable) {
		return ending(err)
	} else if err != nil {
		for line := range strings.Lines(err.Error()) {
			no.add("keys", strings.TrimSpace(line), "use the keyset that sealed it; for a new registry make keys with lanyard keys init")
		}
	}
	clients, err := store.AllClients(ctx)
	if err != nil {
		return ending(err)
	}
	for _, c := range clients {
		judgeClient(c, no)
	}
	return nil
}

var errLeaving = errors.New("the server is leaving")

// ready says why people should not come to this server now.
func (p *production) ready(ctx context.Context) error {
	if p.leaving.Load() {
		return errLeaving
	}
	return p.registry.Ping(ctx)
}

// timers are those of sessions that the configuration shortens.
func (s settled) timers() map[authenticators.Level]idp.Timers {
	shorter := map[authenticators.Level]idp.Timers{}
	for level, l := range map[authenticators.Level]idp.Timers{
		authenticators.AAL3: {Max: s.Policy.AAL3Max, Idle: s.Policy.AAL3Idle},
		authenticators.AAL2: {Max: s.Policy.AAL2Max, Idle: s.Policy.AAL2Idle},
	} {
		if l != idp.LongestAt(level) {
			shorter[level] = l
		}
	}
	return shorter
}

// seal signs where the chains of the journal end, with the key that signs with
// ES256 now.
func (p *production) seal(ctx context.Context) error {
	key, ok := p.registry.SigningKeys().Signer(idp.P256Key, time.Now())
	if !ok {
		return errors.New("no key signs with ES256")
	}
	return p.registry.Seal(ctx, key)
}

// sealLast seals what came since the last time, before the server is gone. Other
// servers would do it within a minute, if there are any.
func (p *production) sealLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := p.seal(ctx); err != nil {
		p.log.WarnContext(ctx, "the end of the journal was not sealed", "error", err.Error())
	}
}

// compareClocks shows operators how far the clocks of what we stand on are
// from ours.
func (p *production) compareClocks(ctx context.Context) error {
	pg, err1 := postgres.Inspect(ctx, p.url, time.Now)
	if err1 == nil {
		p.metrics.ClockOffset("postgres", pg.Ahead)
		noteClock(ctx, p.log, "postgres", pg.Ahead)
	}
	nodes, err2 := redis.Inspect(ctx, p.rdb, time.Now)
	if err2 == nil {
		worst := slices.MaxFunc(nodes, func(a, b redis.Server) int { return cmp.Compare(a.Ahead.Abs(), b.Ahead.Abs()) })
		p.metrics.ClockOffset("redis", worst.Ahead)
		noteClock(ctx, p.log, "redis", worst.Ahead)
	}
	return errors.Join(err1, err2)
}

// takeDownFences takes down the fences that guard nothing any more. That is
// judged by our own clock, so not while it is apart from PostgreSQL's: a server
// a day ahead would take down those of codes that are still good, and each
// could be used again. Fences that stay too long do no harm.
func (p *production) takeDownFences(ctx context.Context) error {
	pg, err := postgres.Inspect(ctx, p.url, p.now)
	if err != nil {
		return err
	}
	if apart(pg.Ahead) {
		if !p.fencesLeft {
			p.log.WarnContext(ctx, "no fence is taken down until the clocks agree", "of", "postgres", "ahead_seconds", pg.Ahead.Seconds())
		}
		p.fencesLeft = true
		return nil
	}
	p.fencesLeft = false
	return p.registry.Clean(ctx)
}

// keepHouse does what has to be done about once a minute, until ctx is done.
// Servers that started together do not do it together.
func (p *production) keepHouse(ctx context.Context) {
	for {
		pause := 55*time.Second + rand.N(10*time.Second) //nolint:gosec // nobody gains by knowing when
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		for name, chore := range map[string]func(context.Context) error{
			"take down fences":  p.takeDownFences,
			"seal the journal":  p.seal,
			"gather sign-ins":   p.registry.GatherSignIns,
			"tag numbers":       p.registry.TagNumbers,
			"forget applicants": p.registry.ForgetApplicants,
			"compare clocks":    p.compareClocks,
			"read metadata":     p.readMetadata,
			"keep the outbox":   p.keepOutbox,
			"keep the logouts":  p.keepLogouts,
			"keep the uses":     p.keepUses,
			"rotate keys":       func(ctx context.Context) error { _, err := p.registry.RotateKeys(ctx); return err },
		} {
			doing, cancel := context.WithTimeout(ctx, 30*time.Second)
			if err := unharmed(doing, chore); err != nil && ctx.Err() == nil {
				p.log.ErrorContext(ctx, "housekeeping failed", "chore", name, "error", err.Error())
			}
			cancel()
		}
	}
}

// unharmed does a chore, and makes an error of its panic: people who are
// signing in must not be cut off because the house was not kept.
func unharmed(ctx context.Context, chore func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return chore(ctx)
}

// listenOn takes every address.
func listenOn(ctx context.Context, addresses ...string) ([]net.Listener, error) {
	var all []net.Listener
	for _, address := range addresses {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			for _, taken := range all {
				_ = taken.Close()
			}
			return nil, fmt.Errorf("listen: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}
