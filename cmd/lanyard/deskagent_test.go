package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// deskAgent is an agent at a desk as the protocol describes one, with a card
// in software. It waits for the browser on a port of its own.
type deskAgent struct {
	t        *testing.T
	service  string // where it calls
	key      *ecdsa.PrivateKey
	card     *virtualcard.Card
	now      func() time.Time
	port     int
	question challenge.Question // what it redeemed
	cc       string             // what it got for its answer
	extra    http.Header        // what it sends beside
}

func newDeskAgent(t *testing.T, service string, card *virtualcard.Card, now func() time.Time) *deskAgent {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &deskAgent{t: t, service: service, key: key, card: card, now: now}
	bounce := httptest.NewServer(http.HandlerFunc(a.done))
	t.Cleanup(bounce.Close)
	_, port, err := net.SplitHostPort(bounce.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if a.port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	return a
}

// done sends the browser back with the completion code.
func (a *deskAgent) done(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/done" || r.FormValue("tx") != a.question.Transaction {
		http.Error(w, "not mine", http.StatusForbidden)
		return
	}
	http.Redirect(w, r, a.doneURL(), http.StatusSeeOther)
}

func (a *deskAgent) doneURL() string {
	return a.question.DoneURL + "?" + url.Values{"tx": {a.question.Transaction}, "cc": {a.cc}}.Encode()
}

// starts is what starts an agent on the page at hand, taken apart.
func (p *person) starts() url.Values {
	p.t.Helper()
	for n := range p.all("a") {
		if rest, ok := strings.CutPrefix(attr(n, "href"), "lanyard-desk:start?"); ok {
			q, err := url.ParseQuery(rest)
			if err != nil {
				p.t.Fatal(err)
			}
			return q
		}
	}
	p.t.Fatalf("nothing starts an agent on %s:\n%s", p.at, p.seen())
	return nil
}

// redemption is what the agent sends for a handle.
func (a *deskAgent) redemption(handle string) map[string]any {
	return map[string]any{
		"h": handle, "port": a.port, "epk": jose.JSONWebKey{Key: a.key.Public()},
		"agent": map[string]string{"name": "test-agent", "version": "1.2", "build": "7", "os": "linux"},
	}
}

// redeem shows a handle and keeps the question.
func (a *deskAgent) redeem(handle string) {
	a.t.Helper()
	got := a.post("/desk/v1/redeem", a.redemption(handle), "")
	got.wantOK(a.t)
	b, err := json.Marshal(got.body)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &a.question); err != nil {
		a.t.Fatal(err)
	}
}

// proof is what a DPoP proof is made of, for a test to change.
type proof struct {
	alg    jose.SignatureAlgorithm
	key    any
	header map[jose.HeaderKey]any
	claims map[string]any
}

// prove makes a proof for a call of path.
func (a *deskAgent) prove(path string, change func(*proof)) string {
	a.t.Helper()
	p := proof{alg: jose.ES256, key: a.key,
		header: map[jose.HeaderKey]any{jose.HeaderType: "dpop+jwt", "jwk": jose.JSONWebKey{Key: a.key.Public()}},
		claims: map[string]any{"jti": digest(), "htm": "POST", "htu": a.service + path, "iat": a.now().Unix(), "tx": a.question.Transaction}}
	if change != nil {
		change(&p)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.alg, Key: p.key}, &jose.SignerOptions{ExtraHeaders: p.header})
	if err != nil {
		a.t.Fatal(err)
	}
	b, err := json.Marshal(p.claims)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := signer.Sign(b)
	if err != nil {
		a.t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		a.t.Fatal(err)
	}
	return compact
}

// report tells what happens at the desk.
func (a *deskAgent) report(state string) {
	a.t.Helper()
	told := map[string]any{"state": state}
	if name, left, ok := strings.Cut(state, " "); ok {
		n, err := strconv.Atoi(left)
		if err != nil {
			a.t.Fatal(err)
		}
		told = map[string]any{"state": name, "left": n}
	}
	if got := a.post("/desk/v1/progress", told, a.prove("/desk/v1/progress", nil)); got.status != http.StatusOK {
		a.t.Fatalf("progress %s: %d, %v", state, got.status, got.body)
	}
}

// answer has the card sign the question.
func (a *deskAgent) answer(change func(*challenge.Payload)) map[string]any {
	a.t.Helper()
	p := a.question.Payload()
	thumbprint, err := challenge.KeyThumbprint(&a.key.PublicKey)
	if err != nil {
		a.t.Fatal(err)
	}
	p.ClientNonce, p.AgentKey = digest(), thumbprint
	p.Agent = challenge.Agent{Name: "test-agent", Version: "1.2", OS: "linux"}
	p.Reader, p.PIN = "Virtual reader", challenge.Host
	p.Card = challenge.Card{GUID: a.card.GUID(), ATR: a.card.ATR(), Serial: challenge.Serial(a.card.Certificate())}
	if change != nil {
		change(&p)
	}
	var jws []byte
	if err := a.card.Use(passcode, func(key crypto.Signer) (err error) {
		jws, err = challenge.Sign(p, a.card.Certificate(), key)
		return err
	}); err != nil {
		a.t.Fatal(err)
	}
	return map[string]any{"jws": string(jws), "x5c": [][]byte{a.card.Certificate().Raw}}
}

// respond brings the card's answer.
func (a *deskAgent) respond(answer map[string]any) answered {
	a.t.Helper()
	got := a.post("/desk/v1/response", answer, a.prove("/desk/v1/response", nil))
	a.cc, _ = got.body["cc"].(string)
	return got
}

// post sends v as JSON, with a proof if there is one.
func (a *deskAgent) post(path string, v any, proof ...string) answered {
	a.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.send(path, "application/json", b, proof...)
}

func (a *deskAgent) send(path, kind string, body []byte, proof ...string) answered {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.service+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	maps.Copy(req.Header, a.extra)
	req.Header.Set("Content-Type", kind)
	for _, p := range proof {
		if p != "" {
			req.Header.Add("DPoP", p)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got := answered{status: resp.StatusCode, header: resp.Header, body: map[string]any{}}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		a.t.Fatal(err)
	}
	if len(text) > 0 {
		_ = json.Unmarshal(text, &got.body) // a page is no JSON
	}
	return got
}

// digest is 256 random bits.
func digest() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
