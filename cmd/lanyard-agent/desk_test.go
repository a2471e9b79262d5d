package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// service is a development service in a process of its own.
type service struct{ issuer, program string }

// startService starts one for all tests of a function, with more options.
func startService(t *testing.T, options ...string) service {
	t.Helper()
	program := filepath.Join(programs(t), "lanyard")
	cmd := exec.Command(program, append([]string{"dev", "--listen", "localhost:0", "--rp-listen", "localhost:0", "--ops-listen", "localhost:0"}, options...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return service{strings.TrimPrefix(strings.Fields(line)[1], "issuer="), program}
}

// cardFile writes the virtual card of somebody to a file.
func (s service) cardFile(t *testing.T, uid string) card.File {
	t.Helper()
	file := filepath.Join(t.TempDir(), "card")
	if out, err := exec.Command(s.program, "card", "virtual", uid, "--service", s.issuer, "--out", file).CombinedOutput(); err != nil {
		t.Fatalf("card virtual: %v\n%s", err, out)
	}
	return card.File(file)
}

// browser is a browser without scripts.
type browser struct {
	t    *testing.T
	http *http.Client
	page string
	at   *url.URL
	link string // that starts the agent
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, http: &http.Client{Jar: jar, Timeout: 10 * time.Second}}
}

func (b *browser) do(req *http.Request) {
	b.t.Helper()
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.page, b.at = string(body), resp.Request.URL
}

func (b *browser) open(address string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(req)
}

func (b *browser) post(address string, form url.Values) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
	b.do(req)
}

var (
	startLink = regexp.MustCompile(`href="(lanyard-desk:start\?[^"]+)"`)
	backForm  = regexp.MustCompile(`action="(http://127\.0\.0\.1:\d+/v1/done)"`)
	hiddenTx  = regexp.MustCompile(`name="tx" value="([^"]+)"`)
	againLink = regexp.MustCompile(`data-lanyard-again="([^"]+)"`)
)

// begins opens the account's sign-in page and asks for a card. It returns the
// link that starts the agent, and the page that waits.
func (b *browser) begins(s service) (link desk.Link, waiting string) {
	b.t.Helper()
	b.open(s.issuer + "/account")
	b.post(s.issuer+"/login/smartcard/begin", url.Values{"id": {b.at.Query().Get("id")}})
	m, again := startLink.FindStringSubmatch(b.page), againLink.FindStringSubmatch(b.page)
	if m == nil || again == nil {
		b.t.Fatalf("the page starts no agent: %s", b.page)
	}
	b.link = strings.ReplaceAll(m[1], "&amp;", "&")
	link, err := desk.ParseLink(b.link)
	if err != nil {
		b.t.Fatal(err)
	}
	return link, s.issuer + strings.ReplaceAll(again[1], "&amp;", "&")
}

// returns waits until the page leads back to the agent, and goes there.
func (b *browser) returns(waiting string) {
	b.t.Helper()
	bounce, tx := b.leadsBack(waiting)
	b.post(bounce, url.Values{"tx": {tx}})
}

// until waits until the page says something.
func (b *browser) until(waiting, want string) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if b.open(waiting); strings.Contains(b.page, want) {
			return
		}
	}
	b.t.Fatalf("the page does not say %q: %s", want, b.page)
}

// typist answers the prompt with one passcode after the other, and then turns
// away.
type typist struct {
	passcodes []string
	asked     []prompt.Question
	told      []string // but that a card is waited for
}

func (p *typist) Ask(_ context.Context, q prompt.Question) ([]byte, error) {
	p.asked = append(p.asked, q)
	if len(p.asked) > len(p.passcodes) {
		return nil, prompt.ErrCancelled
	}
	return []byte(p.passcodes[len(p.asked)-1]), nil
}

func (p *typist) Choose(context.Context, prompt.Question, []string) (int, error) { return 0, nil }

func (p *typist) Tell(_ context.Context, _, words string) error {
	p.told = append(p.told, words)
	return nil
}

func (s service) agent(cards card.Source, p prompt.Prompt) desk.Agent {
	return desk.Agent{Services: []desk.Service{{Alias: aliasOf(s.issuer), Issuer: s.issuer, Origin: s.issuer}}, Cards: cards, Prompt: p,
		HTTP: desk.NewClient(), Version: version, Peer: desk.SamePerson, Now: time.Now}
}

func TestSignIn(t *testing.T) {
	s := startService(t)
	run := func(a desk.Agent, l desk.Link) chan error {
		ended := make(chan error, 1)
		go func() { ended <- a.SignIn(context.Background(), l) }()
		return ended
	}
	t.Run("desk-auth/1: card, passcode and the way back to this browser sign in", func(t *testing.T) {
		b, p := newBrowser(t), &typist{passcodes: []string{"654321", "123456"}}
		link, waiting := b.begins(s)
		ended := run(s.agent(s.cardFile(t, "555000000101"), p), link)
		b.returns(waiting)
		if !strings.Contains(b.page, "Dr Asha Smith") || b.at.Path != "/account" {
			t.Errorf("at %s: %s", b.at, b.page)
		}
		if err := <-ended; err != nil {
			t.Errorf("SignIn() = %v", err)
		}
		if len(p.asked) != 2 || p.asked[1].Wrong == "" || p.asked[1].TriesLeft != 2 || p.asked[0].Holder == "" || len(p.asked[0].Code) != 4 || p.asked[0].Service != aliasOf(s.issuer) {
			t.Errorf("asked %+v", p.asked)
		}
	})
	t.Run("desk-auth/1: a link works once", func(t *testing.T) {
		b := newBrowser(t)
		link, _ := b.begins(s)
		cards := s.cardFile(t, "555000000101")
		if err := s.agent(cards, &typist{}).SignIn(t.Context(), link); !errors.Is(err, prompt.ErrCancelled) {
			t.Errorf("the first: %v", err)
		}
		if err := s.agent(cards, &typist{}).SignIn(t.Context(), link); !errors.Is(err, desk.ErrGone) {
			t.Errorf("the second: %v", err)
		}
	})
	t.Run("desk-auth/1: who turns away is shown as such, and nobody is signed in", func(t *testing.T) {
		b := newBrowser(t)
		link, waiting := b.begins(s)
		if err := s.agent(s.cardFile(t, "555000000101"), &typist{}).SignIn(t.Context(), link); !errors.Is(err, prompt.ErrCancelled) {
			t.Errorf("SignIn() = %v", err)
		}
		b.open(waiting)
		if !strings.Contains(b.page, "CAN-01") {
			t.Errorf("the page: %s", b.page)
		}
	})
	t.Run("desk-auth/1: three wrong passcodes lock the card, and no more is asked", func(t *testing.T) {
		b, p := newBrowser(t), &typist{passcodes: []string{"111111", "111111", "111111", "123456"}}
		link, waiting := b.begins(s)
		cards := s.cardFile(t, "555000000101")
		if err := s.agent(cards, p).SignIn(t.Context(), link); !errors.Is(err, card.ErrBlocked) || len(p.asked) != 3 {
			t.Errorf("SignIn() = %v after %d", err, len(p.asked))
		}
		b.open(waiting)
		if !strings.Contains(b.page, "PAS-03") {
			t.Errorf("the page: %s", b.page)
		}
		link, _ = b.begins(s) // the count was kept in the file
		if err := s.agent(cards, &typist{passcodes: []string{"123456"}}).SignIn(t.Context(), link); !errors.Is(err, card.ErrBlocked) {
			t.Errorf("again: %v", err)
		}
	})
	t.Run("X9: an agent that is told of another issuer than its settings name signs nothing", func(t *testing.T) {
		link, _ := newBrowser(t).begins(s)
		a, p := s.agent(s.cardFile(t, "555000000101"), &typist{passcodes: []string{"123456"}}), &typist{passcodes: []string{"123456"}}
		a.Prompt, a.Services[0].Issuer = p, "http://localhost:1"
		if err := a.SignIn(t.Context(), link); !errors.Is(err, desk.ErrOther) || len(p.asked) != 0 {
			t.Errorf("SignIn() = %v", err)
		}
		a.Services[0].Alias = "id.example"
		if err := a.SignIn(t.Context(), link); !errors.Is(err, desk.ErrOther) {
			t.Errorf("SignIn() = %v", err)
		}
	})
	t.Run("X10: a completion code that goes to another browser at the same desk is worth nothing there", func(t *testing.T) {
		b, other := newBrowser(t), newBrowser(t)
		link, waiting := b.begins(s)
		ended := run(s.agent(s.cardFile(t, "555000000101"), &typist{passcodes: []string{"123456"}}), link)
		bounce, tx := b.leadsBack(waiting)
		other.at = b.at
		other.post(bounce, url.Values{"tx": {tx}})
		if !strings.Contains(other.page, "SES-02") || other.in(s) || b.in(s) {
			t.Errorf("another browser: %s", other.page)
		}
		if err := <-ended; err != nil {
			t.Errorf("SignIn() = %v", err)
		}
	})
	t.Run("desk-auth/1: a stranger at the same computer gets nothing", func(t *testing.T) {
		b := newBrowser(t)
		link, waiting := b.begins(s)
		a := s.agent(s.cardFile(t, "555000000101"), &typist{passcodes: []string{"123456"}})
		a.Peer = func(net.Addr, net.Addr) error { return errors.New("a stranger") }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.SignIn(ctx, link) }()
		b.returns(waiting)
		if strings.Contains(b.page, "Dr Asha Smith") {
			t.Error("a stranger was signed in")
		}
		stop()
		if err := <-ended; !errors.Is(err, desk.ErrStopped) {
			t.Errorf("SignIn() = %v", err)
		}
	})
}

func TestParseLink(t *testing.T) {
	handle := strings.Repeat("A", 43)
	for text, want := range map[string]bool{
		"lanyard-desk:start?h=" + handle + "&i=id.example":         true,
		"lanyard-desk://start?h=" + handle + "&i=id.example":       true,
		"lanyard-desk:stop?h=" + handle + "&i=id.example":          false,
		"https://start?h=" + handle + "&i=id.example":              false,
		"lanyard-desk:start?h=short&i=id.example":                  false,
		"lanyard-desk:start?h=" + handle:                           false,
		"lanyard-desk:start?h=" + handle + "&h=" + handle + "&i=x": false,
		"lanyard-desk:start?" + strings.Repeat("x", 3000):          false,
		"": false,
	} {
		t.Run("own rule: a link says a handle and a service, and nothing else is read", func(t *testing.T) {
			if _, err := desk.ParseLink(text); (err == nil) != want {
				t.Errorf("ParseLink(%q) = %v", text, err)
			}
		})
	}
}

func TestService(t *testing.T) {
	for s, want := range map[desk.Service]bool{
		{Alias: "a", Issuer: "https://id.example", Origin: "https://id.example"}:       true,
		{Alias: "a", Issuer: "http://localhost:8080", Origin: "http://localhost:8080"}: true,
		{Alias: "a", Issuer: "http://id.example", Origin: "http://id.example"}:         false,
		{Alias: "a", Issuer: "http://localhost", Origin: "http://id.example"}:          false,
		{Alias: "a", Issuer: "https://id.example", Origin: "https://id.example/x"}:     false,
		{Alias: "a"}: false,
	} {
		t.Run("desk-auth/1: a service is reached by https, or on this computer", func(t *testing.T) {
			if err := s.Check(); (err == nil) != want {
				t.Errorf("Check(%+v) = %v", s, err)
			}
		})
	}
}
