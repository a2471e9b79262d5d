package main

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
	"github.com/lanyard-id/lanyard/idp"
)

// clocked are two servers on one registry and one Redis, asked in turn, whose
// clock the test moves, and which know one maker of keys.
type clocked struct {
	running
	ourParts
	maker *testkey.Maker
	began time.Time
	ahead atomic.Int64
}

// aModel is what the maker of these tests makes.
var aModel = [16]byte{0xaa, 15: 1}

func aClocked(t *testing.T, change func(*parts)) *clocked {
	t.Helper()
	c := &clocked{began: time.Now()}
	server := httptest.NewUnstartedServer(nil)
	at := named(t, server)
	c.ourParts = aParts(t, at, c.clock, aMiniredis(t))
	c.running = running{issuer: at, log: c.ourParts.logged}
	var metadata []byte
	var alliance *testkey.Alliance
	var err error
	if c.maker, err = testkey.NewMaker(); err == nil {
		if alliance, err = testkey.NewAlliance(); err == nil {
			metadata, err = alliance.Publish(1, time.Now().AddDate(0, 1, 0), testkey.Model{AAGUID: aModel, Name: "Test Key 5",
				Roots: []*x509.Certificate{c.maker.Root}, Status: []string{"FIDO_CERTIFIED_L1"}})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "metadata.jwt")
	if err := os.WriteFile(file, metadata, 0o600); err != nil {
		t.Fatal(err)
	}
	if c.webauthn.metadata, err = passkey.Load(passkey.Source{File: file, Root: alliance.Root, Now: c.clock}); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c.parts)
	}
	both := []http.Handler{c.withVirtualCards(t).pages.Routes(), c.withVirtualCards(t).pages.Routes()}
	var asked atomic.Int64
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { both[asked.Add(1)%2].ServeHTTP(w, r) })
	server.Start()
	t.Cleanup(server.Close)
	return c
}

// clock stands still until the test lets time go by.
func (c *clocked) clock() time.Time { return c.began.Add(time.Duration(c.ahead.Load())) }

// wait lets time go by.
func (c *clocked) wait(d time.Duration) { c.ahead.Add(int64(d)) }

// vouched is a key of the maker.
func (c *clocked) vouched(t *testing.T) *testkey.Key {
	t.Helper()
	k := aKey(t)
	k.Model, k.Attest = aModel, c.maker.Packed
	return k
}

func TestVouchedKeys(t *testing.T) {
	c := aClocked(t, nil)
	owner, strong, weak := newPerson(t), c.vouched(t), aKey(t)
	owner.atAccount(c.running, oneRole)
	id := owner.addsKey(c.running, strong, "Strong key")
	owner.addsKey(c.running, weak, "Weak key")
	t.Run("A3, CIS2: a key that its maker vouches for signs in at AAL3, and says FIDO2", func(t *testing.T) {
		for _, acr := range []string{"AAL3_FIDO2", "AAL3_ANY", "AAL2_OR_AAL3_ANY"} {
			p := newPerson(t)
			p.open(c.authorizeURL("basic", url.Values{"acr_values": {"AAL3_SMARTCARD_OF_TOMORROW " + acr}}))
			p.usesKey(c.running, strong)
			claims := c.claims(t, "basic", p.wantCode())
			wantSame(t, "acr", claims["acr"], acr)
			wantSame(t, "amr", claims["amr"], []string{"FIDO2"})
			wantSame(t, "authentication_assurance_level", claims["authentication_assurance_level"], "3")
		}
	})
	t.Run("assurance: it is no smartcard, and not Apple's", func(t *testing.T) {
		for _, acr := range []string{"AAL3_SMARTCARD", "AAL3_IOS"} {
			p := newPerson(t)
			p.open(c.authorizeURL("basic", url.Values{"acr_values": {acr}}))
			p.post("/login/passkey", url.Values{"id": {p.at.Query().Get("id")}, "answer": {p.keyAnswer(c.running, strong)}})
			p.wantPage(http.StatusForbidden, "AAL-01")
		}
	})
	t.Run("A6: whoever signed in at AAL2 adds no key of AAL3, and removes none", func(t *testing.T) {
		p := newPerson(t)
		p.open(c.issuer + "/account")
		p.usesKey(c.running, weak)
		p.wantAccount()
		p.offersKey(c.running, c.vouched(t), "Thief's key")
		p.wantPage(http.StatusForbidden, "")
		if p.message() != "ACC-01" {
			t.Errorf("the page says %s", p.message())
		}
		p.post("/account/remove", url.Values{"which": {id}})
		p.wantPage(http.StatusForbidden, "ACC-01")
		held, err := c.people.HeldBy(t.Context(), oneRole)
		if err != nil || len(held) != 2 {
			t.Errorf("%d are held, %v; want the two of before", len(held), err)
		}
		p.open(c.issuer + "/account/remove?which=" + id) // and is asked for more
		if p.at.Path != "/login" {
			t.Errorf("the browser comes to %s", p.at)
		}
		p.usesKey(c.running, strong)
		p.wantPage(http.StatusOK, "Strong key")
	})
	t.Run("A6: nor does anybody whose sign-in is older than 20 minutes", func(t *testing.T) {
		p := newPerson(t)
		p.open(c.issuer + "/account")
		p.usesKey(c.running, strong)
		p.wantAccount()
		c.wait(10 * time.Minute)
		p.open(c.issuer + "/account") // an act: the session lives on
		c.wait(10 * time.Minute)
		p.open(c.issuer + "/account/add")
		if p.at.Path != "/account/add" {
			t.Errorf("after 20 minutes to the second the browser comes to %s", p.at)
		}
		c.wait(time.Second)
		for _, path := range []string{"/account/add", "/account/add/passkey", "/account/add/totp", "/account/remove?which=" + id, "/account/password", "/account/email"} {
			p.open(c.issuer + path)
			if p.at.Path != "/login" {
				t.Errorf("after 20 minutes %s comes to %s", path, p.at)
			}
		}
		p.open(c.issuer + "/account")
		p.wantAccount()
	})
}

func TestSessionClocks(t *testing.T) {
	c := aClocked(t, nil)
	owner, strong, weak := newPerson(t), c.vouched(t), aKey(t)
	owner.atAccount(c.running, oneRole)
	owner.addsKey(c.running, strong, "Strong key")
	owner.addsKey(c.running, weak, "Weak key")
	codes := owner.addsCode(c.running, c.clock())
	for name, way := range map[string]struct {
		level  authenticators.Level
		signIn func(*person)
	}{
		"a key at AAL3":         {authenticators.AAL3, func(p *person) { p.usesKey(c.running, strong) }},
		"a key at AAL2":         {authenticators.AAL2, func(p *person) { p.usesKey(c.running, weak) }},
		"a password and a code": {authenticators.AAL2, func(p *person) { p.usesCode(emailOf(t, oneRole), goodPassword, codes.code(c.clock())) }},
	} {
		limits := idp.LongestAt(way.level)
		signedIn := func(t *testing.T) *person {
			t.Helper()
			c.wait(2 * time.Minute) // a code of before is no code now
			p := c.asks(t)
			way.signIn(p)
			p.wantCode()
			return p
		}
		t.Run("S3: "+name+": the session ends when its person has done nothing for as long as its level allows", func(t *testing.T) {
			p := signedIn(t)
			c.wait(limits.Idle - time.Second)
			before := p.silent(c.running)
			c.wait(2 * time.Second)
			if after := p.silent(c.running); !before || after {
				t.Errorf("signed in a second before %v: %v, a second after: %v", limits.Idle, before, after)
			}
		})
		t.Run("S3: "+name+": and after 12 hours, whatever they do", func(t *testing.T) {
			p := signedIn(t)
			began := c.clock()
			for left := limits.Max; left > 0; left = limits.Max - c.clock().Sub(began) {
				p.open(c.issuer + "/account")
				p.wantAccount()
				if left <= limits.Idle {
					break
				}
				c.wait(limits.Idle - time.Second)
			}
			c.wait(limits.Max - c.clock().Sub(began) - time.Second)
			before := p.silent(c.running)
			c.wait(2 * time.Second)
			if after := p.silent(c.running); !before || after {
				t.Errorf("signed in a second before 12 hours: %v, a second after: %v", before, after)
			}
		})
		t.Run("S4: "+name+": what programs ask does not keep the session alive", func(t *testing.T) {
			p := signedIn(t)
			token, _ := p.aToken(c.running)
			half := limits.Idle/2 + time.Second
			c.wait(half)
			c.userinfo(t, token).wantOK(t)
			if !p.silent(c.running) {
				t.Fatal("the session has ended early")
			}
			c.wait(half)
			c.userinfo(t, token).wantOK(t)
			if p.silent(c.running) {
				t.Error("the session outlives its person's last act")
			}
		})
	}
}
