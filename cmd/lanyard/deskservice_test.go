package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/idp"
)

// deskService is a service as it stands in production: without the virtual
// cards of development.
type deskService struct {
	running
	t         *testing.T
	events    func() []idp.Event
	clock     *dev.Clock
	redis     *miniredis.Miniredis
	authority *cardca.Authority
	closing   chan struct{}
}

func startDesk(t *testing.T) *deskService { return startDesks(t, 0, func(*parts) {}) }

// startDesks is startDesk with two servers: what agents call is of one, whose
// clock is so far ahead of the other's, which has the pages. change changes what
// they are put together from.
func startDesks(t *testing.T, ahead time.Duration, change func(*parts)) *deskService {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	clock, memory := dev.NewClock(time.Now), miniredis.RunT(t) // whose time goes by with pass alone
	rdb := goredis.NewClient(&goredis.Options{Addr: memory.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	p := aParts(t, "http://"+server.Listener.Addr().String(), clock.Now, rdb)
	change(&p.parts)
	s := &deskService{running: running{issuer: p.issuer, log: p.logged}, t: t, events: p.people.Events, clock: clock, redis: memory, authority: p.authority,
		closing: make(chan struct{})}
	routes := func(now func() time.Time) http.Handler {
		p.now = now
		wired, err := wire(p.parts)
		if err != nil {
			t.Fatal(err)
		}
		wired.pages.Desk.Closing = s.closing
		return wired.pages.Routes()
	}
	pages, agents := routes(clock.Now), routes(func() time.Time { return clock.Now().Add(ahead) })
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/desk/v1/") && r.Method == http.MethodPost {
			agents.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// card is the card with that serial number, which the directory may know.
func (s *deskService) card(serial string, ends time.Duration) *virtualcard.Card {
	s.t.Helper()
	return s.cardFrom(serial, -48*time.Hour, ends)
}

// cardFrom is card, with a certificate that begins at another time.
func (s *deskService) cardFrom(serial string, begins, ends time.Duration) *virtualcard.Card {
	s.t.Helper()
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		s.t.Fatal(err)
	}
	now := s.clock.Now()
	c, err := s.authority.Issue(cardca.Request{Key: key.Public(), Serial: serial, NotBefore: now.Add(begins), NotAfter: now.Add(ends)})
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := virtualcard.New(virtualcard.Config{Key: key, Certificate: c, Passcode: passcode, PUK: "12345678"})
	if err != nil {
		s.t.Fatal(err)
	}
	return made
}

const year = 365 * 24 * time.Hour

// agent is one at a desk with the card of oneRole.
func (s *deskService) agent() *deskAgent {
	s.t.Helper()
	return newDeskAgent(s.t, s.issuer, s.card(card(oneRole), year), s.clock.Now)
}

// asked is a person whose page asks for a card, and the handle on it.
func (s *deskService) asked() (*person, string) {
	s.t.Helper()
	p := newPerson(s.t)
	p.open(s.authorizeURL("basic", nil))
	p.send("/login/smartcard/begin", nil)
	return p, p.starts().Get("h")
}

// redeemed is a person whose handle an agent has redeemed.
func (s *deskService) redeemed() (*person, *deskAgent) {
	s.t.Helper()
	p, handle := s.asked()
	a := s.agent()
	a.redeem(handle)
	return p, a
}

// signed is a person whose card was good, and waits for the browser.
func (s *deskService) signed() (*person, *deskAgent) {
	s.t.Helper()
	p, a := s.redeemed()
	a.respond(a.answer(nil)).wantOK(s.t)
	return p, a
}

// again loads the page that waits.
func (p *person) again() {
	p.t.Helper()
	for n := range p.page.Descendants() {
		if address := attr(n, "data-lanyard-again"); address != "" {
			p.open(address)
			return
		}
	}
	p.t.Fatalf("nothing waits on %s:\n%s", p.at, p.seen())
}

// news is what the page at hand would hear now.
func (p *person) news(s *deskService, tx string) map[string]any {
	p.t.Helper()
	req := request(p.t, http.MethodGet, s.issuer+"/desk/v1/events?tx="+url.QueryEscape(tx), nil, "")
	req.Header.Set("Accept", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		p.t.Fatalf("events: %d: %v", resp.StatusCode, err)
	}
	return got
}

func (s *deskService) lastEvent() idp.Event {
	all := s.events()
	if len(all) == 0 {
		return idp.Event{}
	}
	return all[len(all)-1]
}

// pass lets time go by, for the service and for its Redis.
func (s *deskService) pass(d time.Duration) {
	s.t.Helper()
	s.redis.FastForward(d)
	if _, err := s.clock.Advance(d); err != nil {
		s.t.Fatal(err)
	}
}

// listen hears the news of tx, until they end.
func (p *person) listen(s *deskService, tx string) <-chan map[string]any {
	p.t.Helper()
	req := request(p.t, http.MethodGet, s.issuer+"/desk/v1/events?tx="+tx, nil, "")
	req.Header.Set("Accept", "text/event-stream")
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		p.t.Fatalf("events are %s", kind)
	}
	events := make(chan map[string]any)
	go func() {
		defer close(events)
		defer func() { _ = resp.Body.Close() }()
		name := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = event
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				got := map[string]any{}
				if json.Unmarshal([]byte(data), &got) != nil || got["event"] != name {
					got["event"] = "broken: " + data
				}
				select {
				case events <- got:
				case <-p.t.Context().Done():
					return
				}
			}
		}
	}()
	return events
}

// txOf is the public name of the question on the page at hand.
func txOf(p *person) string {
	p.t.Helper()
	for n := range p.page.Descendants() {
		if address := attr(n, "data-lanyard-events"); address != "" {
			u, err := url.Parse(address)
			if err != nil {
				p.t.Fatal(err)
			}
			return u.Query().Get("tx")
		}
	}
	p.t.Fatalf("nothing waits on %s", p.at)
	return ""
}
