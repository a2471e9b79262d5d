package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
)

// plan says what a world is made of. The zero value is two servers behind a
// balancer on a PostgreSQL that waits for the disk and a Redis that keeps
// nothing.
type plan struct {
	program string // the server's binary
	servers int    // 0 is two
	direct  bool   // the issuer is the first server itself, without a balancer
	people  int    // 0 is fifty
	card    virtualcard.KeyType
	redis   []string          // settings of redis-server
	folder  string            // of PostgreSQL's data; empty is where temporary files go
	policy  map[string]string // keys of the servers' configuration in place of the usual
	told    int               // how many applications are told when sessions end
}

// world is a service as it stands in a hospital: servers, balancer, stores,
// card authority and people. All of it is on this computer, and gone when it
// is closed.
type world struct {
	plan     plan
	dir      string
	issuer   *url.URL
	door     string // host and port of what answers at the issuer
	postgres *servers.Postgres
	redis    *servers.Redis
	toSQL    *wire // between the servers and PostgreSQL
	toRedis  *wire // between the servers and Redis
	servers  []*server
	balancer *balancer
	crowd    *crowd
	ledger   *ledger
	traces   *collector
	database string

	applications []*application // that are told when sessions end
	inner        *application   // which must not be

	trip      *http.Transport
	addresses atomic.Uint32 // of people, given out so far
	closers   []func() error
	keep      bool // the folder stays when the world is closed
}

// newWorld builds a world and waits until people can come.
func newWorld(ctx context.Context, p plan) (*world, error) {
	if p.servers == 0 {
		p.servers = 2
	}
	if p.people == 0 {
		p.people = 50
	}
	if p.card == "" {
		p.card = virtualcard.P256
	}
	w := &world{plan: p, ledger: newLedger(), trip: newTransport()}
	if err := w.build(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) build(ctx context.Context) error {
	var err error
	if w.dir, err = os.MkdirTemp("", "lanyard-rig-"); err != nil {
		return err
	}
	w.closeWith(func() error {
		if w.keep {
			return nil
		}
		return os.RemoveAll(w.dir)
	})
	for _, step := range []func(context.Context) error{w.startStores, w.makePeople, w.makeServers, w.prepare} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for _, s := range w.servers {
		if _, err := s.run(ctx); err != nil {
			return err
		}
	}
	if w.balancer == nil {
		return nil
	}
	return until(ctx, func() error {
		if len(w.balancer.ready()) < len(w.servers) {
			return errors.New("the balancer does not see every server ready")
		}
		return nil
	})
}

func (w *world) closeWith(f func() error) { w.closers = append(w.closers, f) }

// close ends everything that the world started, last things first.
func (w *world) close() error {
	var errs []error
	w.trip.CloseIdleConnections()
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	return errors.Join(errs...)
}

func (w *world) startStores(ctx context.Context) error {
	var err error
	if w.postgres, err = servers.StartPostgresIn(ctx, w.plan.folder, true); err != nil {
		return err
	}
	w.closeWith(w.postgres.Stop)
	w.database = "lanyard"
	if _, err := w.postgres.Create(ctx, w.database, ""); err != nil {
		return err
	}
	if w.redis, err = servers.StartRedis(ctx, w.plan.redis...); err != nil {
		return err
	}
	w.closeWith(w.redis.Stop)
	sql, err := url.Parse(w.postgres.URL(w.database))
	if err != nil {
		return err
	}
	if w.toSQL, err = newWire(sql.Host); err != nil {
		return err
	}
	w.closeWith(func() error { w.toSQL.close(); return nil })
	if w.toRedis, err = newWire(w.redis.Address()); err != nil {
		return err
	}
	w.closeWith(func() error { w.toRedis.close(); return nil })
	return nil
}

// makePeople makes the card authority, which answers for its cards, and
// everybody with a card.
func (w *world) makePeople(context.Context) error {
	l, err := listen()
	if err != nil {
		return err
	}
	ca, err := cardca.New(cardca.Config{Name: "Rig", Now: time.Now, OCSP: "http://" + l.Addr().String() + "/ocsp", RSA: w.plan.card == virtualcard.RSA2048})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	w.serve(l, ca.Handler())
	if w.crowd, err = newCrowd(w.plan.people, w.plan.card, ca); err != nil {
		return err
	}
	if err := w.makeApplications(); err != nil {
		return err
	}
	for secret, kind := range w.crowd.secrets() {
		w.ledger.hears(kind, secret)
	}
	var trust strings.Builder
	for _, c := range ca.Certificates() {
		if err := pem.Encode(&trust, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			return err
		}
	}
	return os.WriteFile(w.file("trust.pem"), []byte(trust.String()), 0o600)
}

// serve answers at l until the world is closed.
func (w *world) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }()
	w.closeWith(srv.Close)
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// makeServers writes the configuration of each server and starts the balancer
// before them.
func (w *world) makeServers(context.Context) error {
	l, err := listen()
	if err != nil {
		return err
	}
	tl, err := listen()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	w.traces = &collector{}
	w.serve(tl, w.traces)
	// Its name and not its number: browsers keep no keys for a number.
	w.door = l.Addr().String()
	w.issuer = &url.URL{Scheme: "http", Host: "localhost" + w.door[strings.LastIndex(w.door, ":"):]}
	var backends []*backend
	for i := range w.plan.servers {
		s, err := w.makeServer(i, tl.Addr().String())
		if err != nil {
			return errors.Join(err, l.Close())
		}
		w.servers = append(w.servers, s)
		backends = append(backends, &backend{address: s.address, ops: s.ops})
	}
	w.closeWith(w.endServers)
	if w.plan.direct {
		w.servers[0].address = w.door
		return errors.Join(l.Close(), w.configure(w.servers[0], tl.Addr().String()))
	}
	w.balancer = newBalancer(l, backends)
	w.closeWith(func() error { w.balancer.close(); return nil })
	return nil
}

// endServers ends those that still run. How they stop by themselves is a trial
// of its own.
func (w *world) endServers() error {
	var errs []error
	for _, s := range w.servers {
		if alive(s) {
			errs = append(errs, s.kill())
		}
	}
	return errors.Join(errs...)
}

func (w *world) makeServer(i int, traces string) (*server, error) {
	s := &server{name: fmt.Sprintf("server %d", i+1), program: w.plan.program,
		config: w.file(fmt.Sprintf("server%d.yaml", i+1)), log: w.file(fmt.Sprintf("server%d.log", i+1))}
	for _, at := range []*string{&s.address, &s.ops} {
		l, err := listen()
		if err != nil {
			return nil, err
		}
		*at = l.Addr().String()
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return s, w.configure(s, traces)
}

// prepare makes the schema, the keys and the people, as an operator would.
func (w *world) prepare(ctx context.Context) error {
	first := w.servers[0]
	f, err := os.OpenFile(w.file("directory.yaml"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(directory.Write(f, w.crowd.document), f.Close()); err != nil {
		return err
	}
	for _, args := range w.preparations() {
		if _, err := first.command(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// site leads everything to the balancer, or to the only server.
func (w *world) site() *site { return w.siteAt(w.door) }

// siteOf leads everything to one server, past the balancer.
func (w *world) siteOf(s *server) *site { return w.siteAt(s.address) }

func (w *world) siteAt(address string) *site {
	return w.siteTo(func() string { return address })
}

// siteTo is the service as somebody reaches it whose address nobody else has:
// what is counted for one must not be counted for all.
func (w *world) siteTo(to func() string) *site {
	n := w.addresses.Add(1)
	return &site{issuer: w.issuer, to: to, trip: w.trip, hears: w.ledger.hears, from: fmt.Sprintf("10.%d.%d.%d", n>>16&0xff, n>>8&0xff, n&0xff)}
}

// client returns a copy of the client whose ID tokens are signed with alg,
// which keeps keys in its own way.
func (w *world) client(alg string, keys *keyCache) *client {
	c := *w.crowd.clients[alg]
	if keys != nil {
		keys.site = w.site()
	}
	c.keys = keys
	return &c
}

// flow is a sign-in of holder number n (round and round) with a new browser.
func (w *world) flow(n int, c *client) *flow {
	return &flow{person: newPerson(w.site()), holder: w.crowd.holders[n%len(w.crowd.holders)], client: c, ledger: w.ledger}
}

// collector takes what a server tells of its requests, so that it can be read
// for what must not be in it.
type collector struct{ heap logbook }

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err == nil {
		c.heap.add(b)
	}
	w.WriteHeader(http.StatusOK)
}
