package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// signsUp has an agent answer a link with somebody's card, in the background.
func (s service) signsUp(t *testing.T, a desk.Agent, link desk.Link) (ended chan error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended = make(chan error, 1)
	go func() { ended <- a.SignIn(ctx, link) }()
	t.Cleanup(stop)
	return ended
}

// leadsBack waits until the page leads back to the agent, and returns where and
// with which question.
func (b *browser) leadsBack(waiting string) (bounce, tx string) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		b.open(waiting)
		if form := backForm.FindStringSubmatch(b.page); form != nil {
			return form[1], hiddenTx.FindStringSubmatch(b.page)[1]
		}
	}
	b.t.Fatalf("the page does not lead back to the agent: %s", b.page)
	return "", ""
}

// in says whether somebody is signed in at the browser.
func (b *browser) in(s service) bool {
	b.t.Helper()
	b.open(s.issuer + "/account")
	return b.at.Path == "/account"
}

// posted posts a form at the top of a window, as a page that says nothing of
// itself does, and follows where it leads.
func (b *browser) posted(address string, form url.Values) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "null")
	b.do(req)
}

// withoutFollowing is a browser's request that shows where it is led.
func withoutFollowing(t *testing.T, req *http.Request) *http.Response {
	t.Helper()
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func TestAttacks(t *testing.T) {
	s := startService(t)
	t.Run("X10: who begins a sign-in and leads somebody else to its link is not signed in by their card", func(t *testing.T) {
		attacker, victim := newBrowser(t), newBrowser(t)
		link, waiting := attacker.begins(s)
		ended := s.signsUp(t, s.agent(s.cardFile(t, uid), &typist{passcodes: []string{passcode}}), link)
		bounce, tx := attacker.leadsBack(waiting)
		if strings.Contains(attacker.page, "cc=") || strings.Contains(attacker.page, holder) && attacker.at.Path == "/account" {
			t.Errorf("the attacker's page says %s", attacker.page)
		}
		// The attacker's page has the victim's browser go to the victim's agent.
		victim.posted(bounce, url.Values{"tx": {tx}})
		if !strings.Contains(victim.page, "SES-02") {
			t.Errorf("the victim reads %s", victim.page)
		}
		if err := <-ended; err != nil {
			t.Errorf("SignIn() = %v", err)
		}
		if attacker.in(s) || victim.in(s) {
			t.Error("somebody was signed in")
		}
		if attacker.open(waiting); backForm.MatchString(attacker.page) {
			t.Error("the sign-in goes on")
		}
	})
	t.Run("X10: who leads somebody's browser to the answer of their own card signs nobody in there", func(t *testing.T) {
		attacker, victim := newBrowser(t), newBrowser(t)
		link, waiting := attacker.begins(s)
		ended := s.signsUp(t, s.agent(s.cardFile(t, uid), &typist{passcodes: []string{passcode}}), link)
		bounce, tx := attacker.leadsBack(waiting)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, bounce, strings.NewReader(url.Values{"tx": {tx}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		led := withoutFollowing(t, req).Header.Get("Location")
		if !strings.Contains(led, "cc=") {
			t.Fatalf("the attacker was led to %q", led)
		}
		victim.begins(s) // they have a login of their own, too
		victim.open(led)
		if !strings.Contains(victim.page, "SES-02") || victim.in(s) {
			t.Errorf("the victim reads %s", victim.page)
		}
		if attacker.open(led); attacker.in(s) {
			t.Error("the attacker was signed in after all: what was shown elsewhere is dead")
		}
		<-ended
	})
	t.Run("D2: a page of another site that starts the agent gets no window: its handle is of no login", func(t *testing.T) {
		p := &typist{passcodes: []string{passcode}}
		forged := desk.Link{Handle: strings.Repeat("A", 43), Alias: aliasOf(s.issuer)}
		if err := s.agent(s.cardFile(t, uid), p).SignIn(t.Context(), forged); !errors.Is(err, desk.ErrGone) || len(p.asked) != 0 {
			t.Errorf("SignIn() = %v, asked %d times", err, len(p.asked))
		}
	})
	t.Run("D2: a link works once, and not for who finds it later", func(t *testing.T) {
		link, _ := newBrowser(t).begins(s)
		cards, p := s.cardFile(t, uid), &typist{passcodes: []string{passcode}}
		_ = s.agent(cards, &typist{}).SignIn(t.Context(), link)
		if err := s.agent(cards, p).SignIn(t.Context(), link); !errors.Is(err, desk.ErrGone) || len(p.asked) != 0 {
			t.Errorf("SignIn() = %v, asked %d times", err, len(p.asked))
		}
	})
	t.Run("D2: a service for whose name nobody vouches is told nothing", func(t *testing.T) {
		heard := 0
		impostor := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard++ }))
		impostor.Config.ErrorLog = nil
		defer impostor.Close()
		a := s.agent(s.cardFile(t, uid), &typist{passcodes: []string{passcode}})
		a.Services = []desk.Service{{Alias: "id.example", Issuer: impostor.URL, Origin: impostor.URL}}
		if err := a.SignIn(t.Context(), desk.Link{Handle: strings.Repeat("A", 43), Alias: "id.example"}); !errors.Is(err, desk.ErrUnreachable) || heard != 0 {
			t.Errorf("SignIn() = %v, and it heard %d calls", err, heard)
		}
	})
	t.Run("desk-auth/1: an agent that is too old is told so in words, and opens no window", func(t *testing.T) {
		b, p := newBrowser(t), &typist{passcodes: []string{passcode}}
		link, waiting := b.begins(s)
		a := s.agent(s.cardFile(t, uid), p)
		a.Version = "0.0.9"
		refusedWith(t, a.SignIn(t.Context(), link), "AGT-03")
		if b.until(waiting, "AGT-03"); len(p.asked) != 0 {
			t.Error("a passcode was asked for")
		}
	})
	for person, code := range map[string]string{
		"555000000106": "CRT-01", // expired
		"555000000109": "CRT-03", // revoked
		"555000000111": "CRT-04", // of nobody
		"555000000112": "CRD-06", // suspended
		"555000000110": "CRD-07", // of a series that is no longer taken
	} {
		t.Run("smartcard: a card that is refused with "+code+" loses no try, and page and agent say the same", func(t *testing.T) {
			b, p, cards := newBrowser(t), &typist{passcodes: []string{"111111", "111111"}}, s.cardFile(t, person)
			before, err := os.ReadFile(string(cards))
			if err != nil {
				t.Fatal(err)
			}
			link, waiting := b.begins(s)
			words := refusedWith(t, s.agent(cards, p).SignIn(t.Context(), link), code)
			b.until(waiting, code)
			if !strings.Contains(strings.ReplaceAll(b.page, "&#39;", "'"), strings.SplitAfter(words, ".")[0]) {
				t.Errorf("the agent says %q, the page %s", words, b.page)
			}
			if after, err := os.ReadFile(string(cards)); err != nil || !bytes.Equal(before, after) || len(p.asked) != 0 {
				t.Errorf("asked %d times, and the card changed: %v", len(p.asked), err)
			}
		})
	}
}

// refusedWith says that a sign-in was refused with a message, and returns its
// words for the person.
func refusedWith(t *testing.T, err error, code string) string {
	t.Helper()
	refused, ok := errors.AsType[desk.Refused](err)
	why, _ := errors.AsType[desk.Ended](err)
	if !ok || refused.Code != code || why.Words == "" || why.Words != refused.Words {
		t.Errorf("SignIn() = %v (%s), and the person reads %q; want %s", err, refused.Code, why.Words, code)
	}
	return why.Words
}

// TestLoopback knocks at the agent in every way but the right one.
func TestLoopback(t *testing.T) {
	s := startService(t)
	b := newBrowser(t)
	link, waiting := b.begins(s)
	ended := s.signsUp(t, s.agent(s.cardFile(t, uid), &typist{passcodes: []string{passcode}}), link)
	bounce, tx := b.leadsBack(waiting)
	at, err := url.Parse(bounce)
	if err != nil {
		t.Fatal(err)
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for name, change := range map[string]func(*http.Request){
		"by a name that was led here":           host("evil.example:" + at.Port()),
		"by a name that looks like ours":        host("127.evil.com:" + at.Port()),
		"by localhost":                          host("localhost:" + at.Port()),
		"without a port":                        host("127.0.0.1"),
		"with another port":                     host("127.0.0.1:1"),
		"with a dot":                            host("127.0.0.1.:" + at.Port()),
		"from another origin":                   header("Origin", "https://evil.example"),
		"from an origin that begins like ours":  header("Origin", s.issuer+".evil.example"),
		"from two origins":                      header("Origin", s.issuer, "https://evil.example"),
		"from no origin that one could name":    header("Origin", ""),
		"with another page for its referrer":    header("Referer", "https://evil.example/"),
		"with a referrer that begins like ours": header("Referer", s.issuer+".evil.example/"),
		"by a script":                           header("Sec-Fetch-Mode", "cors"),
		"by a script without asking":            header("Sec-Fetch-Mode", "no-cors"),
		"in a frame":                            header("Sec-Fetch-Dest", "iframe"),
		"as an image":                           header("Sec-Fetch-Dest", "image"),
		"as text":                               header("Content-Type", "text/plain"),
		"as JSON":                               header("Content-Type", "application/json"),
		"for another page":                      func(r *http.Request) { r.URL.Path = "/" },
		"for what is beside it":                 func(r *http.Request) { r.URL.Path = "/v1/done/" },
		"about another question":                func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("tx=x")), 4 },
		"about its question in the address":     func(r *http.Request) { r.URL.RawQuery, r.Body, r.ContentLength = "tx="+tx, http.NoBody, 0 },
		"with more than a form": func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x="+strings.Repeat("x", 9000)+"&tx="+tx)), -1
		},
		"to read": func(r *http.Request) { r.Method = http.MethodGet },
		"to ask what scripts of other sites may read": func(r *http.Request) { r.Method = http.MethodOptions },
	} {
		t.Run("D1: the agent answers a form of its service's page alone, and not who comes "+name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, bounce, strings.NewReader(url.Values{"tx": {tx}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", s.issuer)
			change(req)
			resp := withoutFollowing(t, req)
			if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Location") != "" {
				t.Errorf("%d, to %q", resp.StatusCode, resp.Header.Get("Location"))
			}
			for name := range resp.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("scripts of other sites are told %s", name)
				}
			}
		})
	}
	t.Run("D1: nobody comes from another computer", func(t *testing.T) {
		addresses, err := net.InterfaceAddrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addresses {
			ip, _, err := net.ParseCIDR(a.String())
			if err != nil || ip.IsLoopback() {
				continue
			}
			if c, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), at.Port()), time.Second); err == nil {
				_ = c.Close()
				t.Errorf("it answers at %s", ip)
			}
		}
	})
	t.Run("D1: after all this the browser of the sign-in is let in, once", func(t *testing.T) {
		b.returns(waiting)
		if b.at.Path != "/account" {
			t.Errorf("at %s: %s", b.at, b.page)
		}
		if err := <-ended; err != nil {
			t.Errorf("SignIn() = %v", err)
		}
		if c, err := net.DialTimeout("tcp", at.Host, time.Second); err == nil {
			_ = c.Close()
			t.Error("it listens still")
		}
	})
}
