package smartcard_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/store/redis"
)

const (
	issuer   = "https://id.example/realm"
	origin   = "https://id.example"
	holder   = "555000000101"
	passcode = "123456"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// world is a room with everything around it.
type world struct {
	t       *testing.T
	server  *miniredis.Miniredis
	store   *redis.Store
	ca      *cardca.Authority
	cards   cards
	series  series
	sources *sources
	room    *smartcard.Room
	setting smartcard.Config

	mu  sync.Mutex
	now time.Time
}

// cards is a registry of (issuer, serial).
type cards map[[2]string]smartcard.Card

var errOutage = errors.New("the registry does not answer")

func (c cards) CardByCertificate(_ context.Context, issuer, serial string) (smartcard.Card, error) {
	card, ok := c[[2]string{issuer, serial}]
	if !ok {
		return smartcard.Card{}, smartcard.ErrNotRegistered
	}
	if card.Serial == "outage" {
		return smartcard.Card{}, errOutage
	}
	return card, nil
}

// series are the series that are blocked, and from when.
type series map[int]time.Time

func (s series) BlockedFrom(_ context.Context, series int) (time.Time, bool, error) {
	if series == outage {
		return time.Time{}, false, errOutage
	}
	from, ok := s[series]
	return from, ok, nil
}

// AgentRules end agents older than 0.2.0 in a month, and than 0.1.0 for long.
func (s series) AgentRules(_ context.Context, product string) ([]smartcard.AgentRule, error) {
	if product != "lanyard-agent" {
		return nil, nil
	}
	return []smartcard.AgentRule{
		{Below: "0.2.0", From: noon.AddDate(0, 0, 30)}, {Below: "0.1.0", From: noon.AddDate(-1, 0, 0)},
		{Below: "9.0.0"}, {Below: "0.1.10", Except: "0.1.2", From: noon.AddDate(0, 0, 20)},
	}, nil
}

// WarnDays are two.
func (series) WarnDays(context.Context) ([]int, error) { return []int{7, 30}, nil }

// outage is a series about which nothing can be known.
const outage = 99

// sources say one thing of every certificate.
type sources struct {
	status revocation.Status
	err    error
	asked  int
}

func (s *sources) Check(context.Context, *x509.Certificate, *x509.Certificate) (revocation.Status, error) {
	s.asked++
	return s.status, s.err
}

// aWorld returns a room over a fresh Redis. change may alter its settings.
func aWorld(t *testing.T, change func(*smartcard.Config)) *world {
	t.Helper()
	w := &world{t: t, now: noon, server: miniredis.RunT(t), cards: cards{}, series: series{}, sources: &sources{status: revocation.Good}}
	client := goredis.NewClient(&goredis.Options{Addr: w.server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	w.store = redis.New(client, w.clock)
	var err error
	if w.ca, err = cardca.New(cardca.Config{Now: w.clock}); err != nil {
		t.Fatal(err)
	}
	w.setting = smartcard.Config{
		Issuer: issuer, Origin: origin,
		Roots: w.ca.Pool(), Intermediates: w.ca.Intermediates(),
		Transactions: w.store, Cards: w.cards, Rules: w.series, Revocation: w.sources, Now: w.clock,
	}
	if change != nil {
		change(&w.setting)
	}
	if w.room, err = smartcard.New(w.setting); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	w.server.FastForward(d)
}

// request is a good one for a card's certificate.
func (w *world) request(key crypto.PublicKey, serial string) cardca.Request {
	return cardca.Request{
		Key: key, Serial: serial, UID: holder,
		NotBefore: noon.Add(-24 * time.Hour), NotAfter: noon.Add(24 * time.Hour),
	}
}

// issue makes a card and registers it as the state says.
func (w *world) issue(kind virtualcard.KeyType, serial string, state smartcard.State, change func(*cardca.Request)) *virtualcard.Card {
	w.t.Helper()
	key, err := virtualcard.GenerateKey(kind)
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.request(key.Public(), serial)
	if change != nil {
		change(&r)
	}
	c, err := w.ca.Issue(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.register(w.ca.IssuerID(), c, state)
	return w.card(key, c)
}

func (w *world) register(issuer string, c *x509.Certificate, state smartcard.State) {
	serial := challenge.Serial(c)
	w.cards[[2]string{issuer, serial}] = smartcard.Card{Serial: serial, Series: 9, State: state, Holder: holder}
}

func (w *world) card(key crypto.Signer, c *x509.Certificate) *virtualcard.Card {
	w.t.Helper()
	card, err := virtualcard.New(virtualcard.Config{Key: key, Certificate: c, Passcode: passcode, PUK: "12345678"})
	if err != nil {
		w.t.Fatal(err)
	}
	return card
}

func (w *world) goodCard() *virtualcard.Card {
	w.t.Helper()
	return w.issue(virtualcard.P256, "0101", smartcard.Active, nil)
}

func aLogin() authenticators.Login {
	return authenticators.Login{
		ID: "login-a", Browser: digestOf('b'), ClientID: "demo-rp", ClientName: "Demo application",
	}
}

func digestOf(b byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32)))
}

// begun is the browser's question.
type begun struct {
	Transaction string    `json:"tx"`
	Handle      string    `json:"handle"`
	DisplayCode string    `json:"display_code"`
	Expires     time.Time `json:"expires"`
}

func (w *world) begin() begun {
	w.t.Helper()
	raw, err := w.room.Begin(w.t.Context(), aLogin())
	if err != nil {
		w.t.Fatal(err)
	}
	return w.decode(raw)
}

func (w *world) decode(raw json.RawMessage) begun {
	w.t.Helper()
	var b begun
	if err := json.Unmarshal(raw, &b); err != nil {
		w.t.Fatal(err)
	}
	return b
}

func anAgent() smartcard.Agent {
	return smartcard.Agent{Name: "test", Version: "1", OS: "linux", KeyThumbprint: digestOf('k')}
}

// caller is anAgent, who calls again about tx.
func caller(tx string) smartcard.Caller {
	return smartcard.Caller{Transaction: tx, KeyThumbprint: digestOf('k')}
}

// asked begins, redeems, and returns the right message for card, unsigned.
func (w *world) asked(card *virtualcard.Card) challenge.Payload {
	w.t.Helper()
	q, _, err := w.room.Redeem(w.t.Context(), w.begin().Handle, anAgent())
	if err != nil {
		w.t.Fatal(err)
	}
	p := q.Payload()
	p.ClientNonce, p.AgentKey = digestOf('c'), digestOf('k')
	p.Agent = challenge.Agent{Name: "test", Version: "1", OS: "linux"}
	p.Reader, p.PIN = "reader", challenge.Host
	p.Card = challenge.Card{GUID: card.GUID(), ATR: card.ATR(), Serial: challenge.Serial(card.Certificate())}
	return p
}

func (w *world) sign(p challenge.Payload, card *virtualcard.Card) []byte {
	w.t.Helper()
	var jws []byte
	err := card.Use(passcode, func(key crypto.Signer) (err error) {
		jws, err = challenge.Sign(p, card.Certificate(), key)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return jws
}

// respond signs p with card and shows it as the answer to tx.
func (w *world) respond(tx string, p challenge.Payload, card *virtualcard.Card) (string, error) {
	w.t.Helper()
	return w.room.Respond(w.t.Context(), caller(tx), w.sign(p, card), [][]byte{card.Certificate().Raw})
}

// answerWith does the whole desk's part with card.
func (w *world) answerWith(card *virtualcard.Card) error {
	w.t.Helper()
	p := w.asked(card)
	_, err := w.respond(p.Transaction, p, card)
	return err
}

// wants checks one error, or none.
func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if want != nil && !errors.Is(err, authenticators.ErrRefused) {
		t.Errorf("%v is not a refusal", err)
	}
}
