package desk

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

const origin = "https://id.example"

// aService answers agents as a service does. What is nil is answered well.
type aService struct {
	question challenge.Question
	redeems  func(*http.Request) *http.Response
	reports  func(*http.Request, report) *http.Response
	responds func(*http.Request) *http.Response

	mu     sync.Mutex
	heard  []report
	signed []challenge.Payload
}

func newService() *aService {
	now := time.Now()
	return &aService{question: challenge.Question{Transaction: "tx-1", Issuer: origin, Origin: origin, ClientID: "demo-rp", ClientName: "Records",
		Browser: digestOf('b'), DisplayCode: "4711", Act: challenge.Login, ServerNonce: digestOf('s'), Now: now.Unix(), Expires: now.Add(5 * time.Minute).Unix(),
		PINTimer: 300, Algs: []challenge.Alg{challenge.ES256}, DoneURL: origin + donePath, Language: "en", Mode: challenge.Connect}}
}

func digestOf(b byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(string(b), 32)))
}

// nobody stands for a service that cannot be reached.
var nobody = &http.Response{}

func answer(status int, v any) *http.Response {
	b, _ := json.Marshal(v)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(b)))}
}

func refuses(code, words string) *http.Response {
	resp := answer(http.StatusForbidden, map[string]string{"code": code, "detail": words})
	resp.Header.Set("Content-Language", "cy")
	return resp
}

// RoundTrip implements http.RoundTripper.
func (s *aService) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	resp := s.answer(req, body)
	if req.Context().Err() != nil {
		return nil, req.Context().Err()
	}
	if resp == nobody {
		return nil, errors.New("nobody is there")
	}
	return resp, nil
}

func (s *aService) answer(req *http.Request, body []byte) *http.Response {
	switch req.URL.Path {
	case "/desk/v1/redeem":
		if s.redeems != nil {
			return s.redeems(req)
		}
		return answer(http.StatusOK, s.question)
	case "/desk/v1/progress":
		var told report
		_ = json.Unmarshal(body, &told)
		s.mu.Lock()
		s.heard = append(s.heard, told)
		s.mu.Unlock()
		if s.reports != nil {
			if resp := s.reports(req, told); resp != nil {
				return resp
			}
		}
		return answer(http.StatusOK, said{Notice: challenge.Notice{Text: "words of " + string(told.State)}})
	default:
		if s.responds != nil {
			return s.responds(req)
		}
		var told struct{ JWS string }
		_ = json.Unmarshal(body, &told)
		m, err := challenge.Parse([]byte(told.JWS))
		if err != nil {
			return answer(http.StatusBadRequest, nil)
		}
		s.mu.Lock()
		s.signed = append(s.signed, m.Payload)
		s.mu.Unlock()
		return answer(http.StatusOK, map[string]string{"cc": digestOf('c')})
	}
}

// count is how many reports came.
func (s *aService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.heard)
}

// states are what was told, without what was only repeated.
func (s *aService) states() []doing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []doing
	for _, r := range s.heard {
		if len(all) == 0 || all[len(all)-1] != r.State {
			all = append(all, r.State)
		}
	}
	return all
}

// aCard is a card in software.
type aCard struct {
	key      *ecdsa.PrivateKey
	about    card.About
	passcode string
	gone     chan struct{}
	uses     func() error // what happens in place of the passcode's being tried
	lends    func() error // what happens before the key is lent
}

func newCard(t *testing.T, holder string) *aCard {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: holder}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &aCard{key: key, passcode: "123456", gone: make(chan struct{}),
		about: card.About{Reader: "Reader", GUID: strings.Repeat("0A", 16), ATR: "3B88", Certificate: certificate, TriesLeft: 3}}
}

func (c *aCard) About() card.About     { return c.about }
func (c *aCard) Gone() <-chan struct{} { return c.gone }
func (c *aCard) Close() error          { return nil }

func (c *aCard) Use(passcode []byte, do func(crypto.Signer) error) error {
	if c.uses != nil {
		if err := c.uses(); err != nil {
			return err
		}
	}
	if string(passcode) != c.passcode {
		c.about.TriesLeft--
		return card.PINError{TriesLeft: c.about.TriesLeft}
	}
	if c.lends != nil {
		if err := c.lends(); err != nil {
			return err
		}
	}
	return do(c.key)
}

// desktop is where cards come in turn: each step is waited for, or a card.
type desktop struct {
	steps chan any // card.Waiting, error or *aCard
}

func cardsOf(steps ...any) desktop {
	d := desktop{make(chan any, len(steps)+10)}
	for _, s := range steps {
		d.steps <- s
	}
	return d
}

func (d desktop) Wait(ctx context.Context, tell func(card.Waiting)) (card.Card, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case step := <-d.steps:
			switch step := step.(type) {
			case card.Waiting:
				tell(step)
			case error:
				return nil, step
			case *aCard:
				return step, nil
			}
		}
	}
}

// person answers windows: with ask, which gets the number of the question.
type person struct {
	ask func(ctx context.Context, n int) ([]byte, error)

	mu    sync.Mutex
	asked []prompt.Question
	told  []string
	open  int // messages that are shown
}

func types(passcodes ...string) *person {
	return &person{ask: func(_ context.Context, n int) ([]byte, error) {
		if n >= len(passcodes) {
			return nil, prompt.ErrCancelled
		}
		return []byte(passcodes[n]), nil
	}}
}

func (p *person) Ask(ctx context.Context, q prompt.Question) ([]byte, error) {
	p.mu.Lock()
	n := len(p.asked)
	p.asked = append(p.asked, q)
	if p.open != 0 {
		p.told = append(p.told, "a message stands over the question")
	}
	p.mu.Unlock()
	return p.ask(ctx, n)
}

func (p *person) Choose(context.Context, prompt.Question, []string) (int, error) { return 0, nil }

func (p *person) Tell(ctx context.Context, language, words string) error {
	p.mu.Lock()
	p.told = append(p.told, language+": "+words)
	p.open++
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.open--
	p.mu.Unlock()
	return ctx.Err()
}

func (s *aService) agent(cards card.Source, p prompt.Prompt) Agent {
	return Agent{Services: []Service{{Alias: "id.example", Issuer: origin, Origin: origin}}, Cards: cards, Prompt: p,
		HTTP: &http.Client{Transport: s}, Version: "0.1.0", Language: "en", Peer: func(net.Addr, net.Addr) error { return nil }, Now: time.Now}
}

var aLink = Link{Handle: digestOf('h'), Alias: "id.example"}

// comes lets the browser come when the answer was taken. It knows the port by
// the redemption.
func (s *aService) comes(t *testing.T) {
	port := make(chan string, 1)
	s.redeems = func(req *http.Request) *http.Response {
		var told struct{ Port json.Number }
		body, _ := req.GetBody()
		_ = json.NewDecoder(body).Decode(&told)
		port <- told.Port.String()
		return answer(http.StatusOK, s.question)
	}
	go func() {
		var at string
		select {
		case at = <-port:
		case <-t.Context().Done():
			return
		}
		for t.Context().Err() == nil {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:"+at+"/v1/done", strings.NewReader("tx=tx-1"))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
			if err != nil {
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusSeeOther {
				return
			}
		}
	}()
}
