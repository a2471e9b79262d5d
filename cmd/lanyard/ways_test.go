package main

import (
	"crypto/hmac"
	"crypto/sha1" // as people's apps do: RFC 6238
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

// goodPassword is one that nobody would guess first.
const goodPassword = "violet harbour sandwich 71"

// fetch posts a form as a script does, and returns the answer's body.
func (p *person) fetch(path string, form url.Values) (int, []byte) {
	p.t.Helper()
	to, err := p.at.Parse(path)
	if err != nil {
		p.t.Fatal(err)
	}
	req := request(p.t, http.MethodPost, to.String(), form, "")
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, body
}

// atAccount signs in with a card, and comes to the page of the person's own
// account.
func (p *person) atAccount(s running, uid string) {
	p.t.Helper()
	p.open(s.issuer + "/account")
	p.signIn(uid)
	p.wantAccount()
}

// wantAccount checks that the person sees their own account.
func (p *person) wantAccount() {
	p.t.Helper()
	if p.status != http.StatusOK || p.at.Path != "/account" {
		p.t.Fatalf("status %d at %s, want the account:\n%s", p.status, p.at, p.seen())
	}
}

// aKey is a key in software that cannot leave its device and that nobody
// vouches for.
func aKey(t *testing.T) *testkey.Key {
	t.Helper()
	k, err := testkey.New(testkey.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// offersKey adds a key to the account under a name.
func (p *person) offersKey(s running, k *testkey.Key, name string) {
	p.t.Helper()
	p.open(s.issuer + "/account/add/passkey")
	status, question := p.fetch("/account/add/passkey/begin", nil)
	if status != http.StatusOK {
		p.t.Fatalf("the question for a key: %d, %s", status, question)
	}
	answer, err := k.Create(question, origin(s.issuer))
	if err != nil {
		p.t.Fatal(err)
	}
	p.send("/account/add/passkey", url.Values{"name": {name}, "answer": {string(answer)}})
}

// addsKey is offersKey where it must succeed. It returns the name of what was
// added.
func (p *person) addsKey(s running, k *testkey.Key, name string) string {
	p.t.Helper()
	p.offersKey(s, k, name)
	p.wantAccount()
	return p.held(name)
}

// held is the id of the authenticator that the account shows under that name:
// of several the newest.
func (p *person) held(name string) string {
	p.t.Helper()
	id := ""
	for li := range p.all("li") {
		if attr(li, "class") == "" || !strings.Contains(textOf(li), name) {
			continue
		}
		for a := range inside(li, "a") {
			if u, err := url.Parse(attr(a, "href")); err == nil && u.Path == "/account/name" {
				id = u.Query().Get("which")
			}
		}
	}
	if id == "" {
		p.t.Fatalf("nothing called %q is shown:\n%s", name, p.text())
	}
	return id
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return b.String()
}

// keyAnswer is what a key answers to the sign-in at hand.
func (p *person) keyAnswer(s running, k *testkey.Key) string {
	p.t.Helper()
	status, question := p.fetch("/login/passkey/begin", url.Values{"id": {p.at.Query().Get("id")}})
	if status != http.StatusOK {
		p.t.Fatalf("the question for a key: %d, %s", status, question)
	}
	answer, err := k.Get(question, origin(s.issuer))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(answer)
}

// usesKey signs in with a key.
func (p *person) usesKey(s running, k *testkey.Key) {
	p.t.Helper()
	p.send("/login/passkey", url.Values{"answer": {p.keyAnswer(s, k)}})
}

// app makes one-time codes.
type app struct {
	seed []byte
	used int64 // the last step whose code was shown
}

// code is the first code that is good now and was not shown yet. A service
// whose clock is at now takes those of the step before it and after it too, so
// there are three at once; who wants a fourth must wait.
func (a *app) code(now time.Time) string {
	a.used = max(a.used+1, now.Unix()/30-1)
	return a.at(a.used)
}

func (a *app) at(step int64) string {
	mac := hmac.New(sha1.New, a.seed)
	_ = binary.Write(mac, binary.BigEndian, step) // hashes never fail
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// inStep waits for the next step if this one is nearly over: what is shown at
// its end might be judged in the next.
func inStep(t *testing.T) time.Time {
	t.Helper()
	until(t, "a step of one-time codes has begun", func() bool { return time.Now().Unix()%30 < 24 })
	return time.Now()
}

// emailOf is the e-mail of a person of the demo directory.
func emailOf(t *testing.T, uid string) string {
	t.Helper()
	return someone(t, uid).Email
}

// scans comes to the page that shows the secret for an app.
func (p *person) scans(s running) *app {
	p.t.Helper()
	p.open(s.issuer + "/account/add/totp")
	for n := range p.all("code") {
		if attr(n, "id") == "secret" {
			seed, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(strings.TrimSpace(textOf(n)), " ", ""))
			if err != nil {
				p.t.Fatal(err)
			}
			return &app{seed: seed}
		}
	}
	p.t.Fatalf("no secret at %s:\n%s", p.at, p.text())
	return nil
}

// addsCode adds a password with an app to the account of who is signed in.
func (p *person) addsCode(s running, now time.Time) *app {
	p.t.Helper()
	a := p.scans(s)
	p.send("/account/add/totp", url.Values{"password": {goodPassword}, "code": {a.code(now)}})
	p.wantAccount()
	return a
}

// usesCode signs in with a password and a code.
func (p *person) usesCode(email, password, code string) {
	p.t.Helper()
	if p.at.Path != "/login/totp" {
		p.open("/login/totp?" + url.Values{"id": {p.at.Query().Get("id")}}.Encode())
	}
	p.send("/login/totp", url.Values{"email": {email}, "password": {password}, "code": {code}})
}

// claims are what an ID token says, of a code that the person's application got.
func (s running) claims(t *testing.T, client, code string) map[string]any {
	t.Helper()
	tokens := s.redeem(t, client, code, nil)
	tokens.wantOK(t)
	return payload(t, tokens)
}

// anyLevel is a request that any way to sign in may answer.
var anyLevel = url.Values{"acr_values": {"AAL2_OR_AAL3_ANY"}}

// wantSame fails if two values are not the same JSON.
func wantSame(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err1 := json.Marshal(got)
	w, err2 := json.Marshal(want)
	if err1 != nil || err2 != nil || string(g) != string(w) {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}
