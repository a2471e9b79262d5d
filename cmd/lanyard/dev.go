package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/authenticators/federated"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualagent"
	"github.com/lanyard-id/lanyard/cmd/lanyard/demo"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/provider"
	"github.com/lanyard-id/lanyard/store/memory"
	"github.com/lanyard-id/lanyard/web"
)

// devOptions are the flags of `lanyard dev`.
type devOptions struct {
	listen, rpListen, opsListen string
	issuer                      string
	layout                      string
	seed, state                 string
	autoLogin                   string
	bridge                      bool
}

func devCommand() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole service for development: nothing to install, nothing to configure",
		Long: "Runs the provider, a demo directory, virtual smartcards and a demo application in one process.\n" +
			"It listens on this computer alone and keeps nothing, unless --state names a file.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDev(cmd.Context(), o, cmd.OutOrStdout(), os.Stderr)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "localhost:8080", "`address` of the provider; port 0 takes a free one")
	f.StringVar(&o.rpListen, "rp-listen", "localhost:8081", "`address` of the demo application")
	f.StringVar(&o.opsListen, "ops-listen", "localhost:8082", "`address` of health and metrics")
	f.StringVar(&o.issuer, "issuer", "", "issuer `URL`, when it differs from what is listened on")
	f.StringVar(&o.layout, "layout", "standard", "paths of the endpoints: standard or cis2")
	f.StringVar(&o.seed, "seed", "", "directory `file` to start with, in place of the demo directory")
	f.StringVar(&o.state, "state", "", "`file` to keep changes in between runs")
	f.StringVar(&o.autoLogin, "auto-login", "", "sign everybody in as the person with this `uid`, without a page")
	f.BoolVar(&o.bridge, "bridge", false, "answer agents and applications of the old service (CIS1) too, at the address of the provider")
	return cmd
}

// devBridge is what a development service answers of the old service: all of it.
func (o devOptions) devBridge() BridgeConfig {
	if !o.bridge {
		return BridgeConfig{}
	}
	longest := idp.LongestLegacy()
	return BridgeConfig{Gateway: true, Assertion: true, SessionManager: true, Exchange: true, Desk: true, SHA1: true, SessionMax: longest.Max, SessionIdle: longest.Idle}
}

// runDev runs the service until ctx is done. It prints one line to out when
// people can come.
func runDev(ctx context.Context, o devOptions, out io.Writer, logTo *os.File) error {
	if err := refuseProduction(os.Environ()); err != nil {
		return exit{exitUsage, err}
	}
	listeners, err := listenAll(ctx, o.listen, o.rpListen, o.opsListen)
	if err != nil {
		return err
	}
	idpURL, rpURL, opsURL := listeners[0].url, listeners[1].url, listeners[2].url
	if o.issuer == "" {
		o.issuer = idpURL
		if o.layout == string(provider.CIS2) {
			o.issuer += provider.CIS2Path
		}
	}

	heard := dev.NewLog()
	log := newLog(logTo, heard)
	s, err := wireDev(ctx, o, idpURL, rpURL, log, heard)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	defer s.close()
	s.pages.Desk.Closing = ctx.Done()
	rp, err := s.demoApplication(o.issuer, rpURL, log)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}

	work, rest := context.WithCancel(context.WithoutCancel(ctx))
	var telling sync.WaitGroup
	telling.Go(func() { s.told.run(work) })
	defer func() { rest(); telling.Wait() }()

	served := make(chan error, 1)
	go func() {
		served <- serve(ctx, log, leave{notice: func() {}, parted: func() {}, drain: 5 * time.Second}, site{listeners[0], onlyHere(o.issuer, s.pages.Routes())},
			site{listeners[1], onlyHere(rpURL, rp)}, site{listeners[2], onlyHere(opsURL, s.ops)})
	}()
	welcome(logTo, o.issuer, rpURL)
	_, err = fmt.Fprintf(out, "ready issuer=%s rp=%s ops=%s\n", o.issuer, rpURL, opsURL)
	return errors.Join(err, <-served)
}

// devService is a service with what stands in for the world.
type devService struct {
	*service
	people *memory.Store
	clock  *dev.Clock
	close  func()
}

// upstreamClient is as what the service is known to the provider that stands
// in for the organisation's own.
const upstreamClient = "lanyard"

// wireDev puts the service together on a registry in memory and a Redis in
// process. It will be reached at idpURL, whatever its issuer.
func wireDev(ctx context.Context, o devOptions, idpURL, rpURL string, log *slog.Logger, heard dev.Log) (*devService, error) {
	clock := dev.NewClock(time.Now)
	now := clock.Now
	authority, foreign, err := authorities(idpURL+dev.AuthorityPath, now)
	if err != nil {
		return nil, err
	}
	people, key, err := openRegistry(o, rpURL, authority.IssuerID(), now)
	if err != nil {
		return nil, err
	}
	keys, err := newDevKeys(now)
	if err != nil {
		return nil, err
	}
	sealer, err := devKeyset(o.state)
	if err != nil {
		return nil, err
	}
	operator, err := operatorToken(o.state)
	if err != nil {
		return nil, err
	}
	rdb, closeRedis, err := inProcessRedis()
	if err != nil {
		return nil, err
	}
	secret := rand.Text()
	admin := inMemory(people, operator)
	admin.certifies = cardAuthority{authority, cardLife}
	s, err := wire(parts{issuer: o.issuer, layout: provider.Layout(o.layout), registry: people, rdb: rdb, administration: admin, //nolint:contextcheck // what it makes answers requests, which have their own
		keys: keys.keys, cards: trustIn(authority), authorities: newOutside(true), outside: newOutside(true), applications: newApplications(true), auto: o.autoLogin != "", sealer: sealer, bridge: o.devBridge(),
		upstream: &federated.Config{Name: "Riverside", Issuer: idpURL + demo.UpstreamPath, ClientID: upstreamClient, ClientSecret: secret, Scopes: []string{"email"}, HTTP: newOutside(true)},
		now:      now, log: log})
	if err != nil {
		closeRedis()
		return nil, exit{exitUsage, err}
	}

	organisation := demo.UpstreamPeople(people.Document().People)
	upstream, err := demo.NewUpstream(demo.UpstreamConfig{Issuer: idpURL + demo.UpstreamPath, ClientID: upstreamClient, ClientSecret: secret,
		RedirectURIs: []string{origin(o.issuer) + api.FederatedReturn, origin(o.issuer) + api.FederatedLink},
		People:       organisation, Site: s.pages.Site, Frame: s.pages.Frame, Now: now, Log: log})
	if err == nil {
		err = linkSome(ctx, people, organisation, idpURL+demo.UpstreamPath, now())
	}
	if err != nil {
		closeRedis()
		return nil, err
	}

	drawer := &dev.Drawer{Authority: authority, Foreign: foreign, Registry: people, Room: s.room, Now: now,
		Agent: virtualagent.Agent{Desk: s.room, Issuer: o.issuer, Origin: origin(o.issuer)}}
	pages := &dev.Pages{Site: s.pages.Site, Frame: s.pages.Frame, Drawer: drawer, Log: heard, Clock: clock, Registry: people, Events: people.Events, Mails: people.Mails, Logouts: people, Authority: authority.Handler(), Upstream: upstream, UpstreamPath: demo.UpstreamPath,
		Facts: facts(o.issuer), Key: key, Rotate: keys.rotate}
	s.pages.Development = &api.Development{Cards: drawer, DemoURL: rpURL, Facts: facts(o.issuer), Mount: pages.Mount}
	if o.autoLogin != "" {
		if s.pages.Development.Auto, err = drawer.Auto(o.autoLogin); err != nil {
			closeRedis()
			return nil, exit{exitNotFound, fmt.Errorf("nobody has the uid %q", o.autoLogin)}
		}
	}
	return &devService{service: s, people: people, clock: clock, close: closeRedis}, nil
}

// trustIn trusts the authority of development and nobody else.
func trustIn(a *cardca.Authority) cardTrust {
	return cardTrust{authorities: a.Certificates(), roots: a.Pool(), intermediates: a.Intermediates()}
}

// authorities makes the authority of the people's cards, which will be asked
// about them at address, and another that nobody trusts.
func authorities(address string, now func() time.Time) (ours, foreign *cardca.Authority, err error) {
	ours, err = cardca.New(cardca.Config{Now: now, OCSP: address + "/ocsp", CRL: address + "/crl"})
	if err != nil {
		return nil, nil, err
	}
	foreign, err = cardca.New(cardca.Config{Name: "Another Authority", Now: now})
	return ours, foreign, err
}

// demoApplication is the relying party that the service shows itself with.
func (s *devService) demoApplication(issuer, address string, log *slog.Logger) (http.Handler, error) {
	return demo.NewRP(demo.RPConfig{
		Issuer: issuer, ClientID: demoClient, ClientSecret: demoSecret, BaseURL: address,
		Site: s.pages.Site, Now: s.clock.Now, Log: log,
	})
}

// refuseProduction keeps a development service from ever standing where a
// production service was meant to.
func refuseProduction(environ []string) error {
	for _, e := range environ {
		for _, setting := range []string{"LANYARD_POSTGRES_", "LANYARD_REDIS_", "LANYARD_KEYS_"} {
			if strings.HasPrefix(e, setting) {
				name, _, _ := strings.Cut(e, "=")
				return fmt.Errorf("%s is a production setting: `lanyard dev` is not for production", name)
			}
		}
	}
	return nil
}

// onlyHere answers only to the name that the service goes by and to those of
// this computer, so that no page elsewhere can reach it under a name of its
// own.
func onlyHere(address string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := url.URL{Host: r.Host}
		own, err := url.Parse(address)
		ip := net.ParseIP(asked.Hostname())
		if asked.Hostname() == "localhost" || ip != nil && ip.IsLoopback() || err == nil && asked.Hostname() == own.Hostname() {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "a development service answers to names of its own computer alone", http.StatusMisdirectedRequest)
	})
}

// listening is a listener with the URL that leads to it.
type listening struct {
	net.Listener
	url string
}

// listenAll takes every address, which must be of this computer alone.
func listenAll(ctx context.Context, addresses ...string) ([]listening, error) {
	var all []listening
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, errors.Join(exit{exitUsage, fmt.Errorf("address %q: %w", address, err)}, closeAll(all))
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, errors.Join(exit{exitUsage, fmt.Errorf("address %q: a development service listens on this computer alone", address)}, closeAll(all))
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen: %w", err), closeAll(all))
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		all = append(all, listening{l, "http://" + net.JoinHostPort(host, port)})
	}
	return all, nil
}

func closeAll(listeners []listening) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func facts(issuer string) []web.Detail {
	return []web.Detail{
		{Name: "Issuer", Value: issuer},
		{Name: "Client ID", Value: demoClient},
		{Name: "Client secret", Value: demoSecret},
	}
}

// welcome tells the developer at the terminal where to go.
func welcome(w io.Writer, issuer, rpURL string) {
	_, _ = fmt.Fprintf(w, `
Lanyard for development: not secure, no real people.

  demo application   %s
  issuer             %s
  discovery          %s/.well-known/openid-configuration
  client             %s, secret %s

`, rpURL, issuer, strings.TrimSuffix(issuer, "/"), demoClient, demoSecret)
}
