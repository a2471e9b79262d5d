package main

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"math/bits"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
	"github.com/lanyard-id/lanyard/cmd/lanyard/demo"
	"github.com/lanyard-id/lanyard/idp"
)

// numberOf is the National Insurance number of a person of the demo directory.
func numberOf(t *testing.T, uid string) string {
	t.Helper()
	return someone(t, uid).NINumber
}

// solves is what a browser makes of the puzzle of the page at hand.
func (p *person) solves() url.Values {
	p.t.Helper()
	for form := range p.all("form") {
		puzzle := attr(form, "data-lanyard-puzzle")
		hard, err := strconv.Atoi(attr(form, "data-lanyard-bits"))
		if puzzle == "" || err != nil {
			continue
		}
		for n := 0; ; n++ {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s:%d", puzzle, n))
			if bits.LeadingZeros32(uint32(sum[0])<<24|uint32(sum[1])<<16|uint32(sum[2])<<8|uint32(sum[3])) >= hard {
				return url.Values{"puzzle": {puzzle}, "answer": {strconv.Itoa(n)}}
			}
		}
	}
	p.t.Fatalf("there is no puzzle:\n%s", p.seen())
	return nil
}

// beginsClaim says who they are, and comes to where the code is asked for.
func (p *person) beginsClaim(s running, email, number string) {
	p.t.Helper()
	p.open(s.issuer + "/claim")
	form := p.solves()
	form.Set("email", email)
	form.Set("number", number)
	p.post("/claim", form)
}

// comesTo claims as a person of the demo directory until they choose that way.
func (w *peerWorld) comesTo(t *testing.T, uid, way string) *person {
	t.Helper()
	p := newPerson(t)
	p.beginsClaim(w.running, emailOf(t, uid), numberOf(t, uid))
	p.send("/claim/code", url.Values{"code": {w.lastMailed(t, emailOf(t, uid))}})
	p.wantPage(http.StatusOK, someone(t, uid).Name.Display)
	if way != "" {
		p.send("/claim/choose", url.Values{"way": {way}, "alone": {"yes"}})
	}
	return p
}

// claimsKey is the answer of a key to the page that adds it.
func (p *person) claimsKey(s running, k *testkey.Key) url.Values {
	p.t.Helper()
	status, question := p.fetch("/claim/passkey/begin", nil)
	if status != http.StatusOK {
		p.t.Fatalf("the question for a key: %d, %s", status, question)
	}
	answer, err := k.Create(question, origin(s.issuer))
	if err != nil {
		p.t.Fatal(err)
	}
	return url.Values{"name": {"Blue key"}, "answer": {string(answer)}}
}

// alike is what a page says, without what is another on every page.
func (p *person) alike() string {
	id := p.header.Get("X-Request-Id")
	return fmt.Sprint(p.status, p.at.Path, " ", strings.NewReplacer(id, "REQUEST", id[:8], "REQUEST").Replace(p.text()))
}

func TestClaiming(t *testing.T) {
	w := &peerWorld{clocked: aClocked(t, nil)}
	t.Run("A7: a verified person adds a key by e-mail, number and code; it is worth AAL2 whatever its maker attests", func(t *testing.T) {
		k := w.vouched(t)
		p := w.comesTo(t, noCard, "passkey")
		p.send("/claim/passkey", p.claimsKey(w.running, k))
		p.wantPage(http.StatusOK, "You can sign in now")
		if p.at.Path != "/claim/done" || len(p.cookies(w.running, "lanyard-held-")) > 0 {
			t.Errorf("at %s with %v", p.at, p.cookies(w.running, "lanyard-held-"))
		}
		in := w.asks(t)
		in.usesKey(w.running, k)
		claims := w.claims(t, "basic", in.wantCode())
		wantSame(t, "sub", claims["sub"], noCard)
		wantSame(t, "amr", claims["amr"], []string{"PASSKEY"})
		wantSame(t, "authentication_assurance_level", claims["authentication_assurance_level"], "2")
		events := w.people.Events()
		i := slices.IndexFunc(events, func(e idp.Event) bool { return e.Kind == idp.AuthenticatorAdded && e.Subject == noCard })
		if i < 0 || events[i].Reason != "self-claimed" || events[i].Actor != noCard || events[i].Level != 2 || events[i].Request == "" {
			t.Errorf("the journal has %+v", events)
		}
		mails := w.people.Mails()
		if m := mails[len(mails)-1]; m.Text != "mail.claimed" || m.To != emailOf(t, noCard) || m.Args["name"] != "Blue key" {
			t.Errorf("the mail is %+v", m)
		}
	})
	w.wait(2 * time.Hour)
	t.Run("A7: whoever holds an authority claims as everybody does, and nothing of AAL3 opens to it", func(t *testing.T) {
		p := w.comesTo(t, raManager, "totp")
		a := p.scansClaim()
		p.send("/claim/totp", url.Values{"password": {"short"}, "code": {a.code(w.clock())}})
		p.wantNo(http.StatusBadRequest, "PWD-01")
		w.wait(31 * time.Second)
		p.send("/claim/totp", url.Values{"password": {goodPassword}, "code": {a.code(w.clock())}})
		p.wantPage(http.StatusOK, "You can sign in now")
		w.wait(31 * time.Second)
		in := newPerson(t)
		in.open(w.authorizeURL("basic", anyLevel))
		in.usesCode(emailOf(t, raManager), goodPassword, a.code(w.clock()))
		wantSame(t, "amr", w.claims(t, "basic", in.wantCode())["amr"], []string{"TOTP"})
		in.open(w.issuer + "/ra")
		if in.at.Path != "/login" {
			t.Errorf("AAL2 comes to %s", in.at)
		}
		again := w.comesTo(t, raManager, "")
		if strings.Contains(again.html(), `value="totp"`) {
			t.Error("a second password is offered")
		}
	})
	w.wait(2 * time.Hour)
	t.Run("A7: the organisation's own account is claimed, by the address at which it comes back for everybody", func(t *testing.T) {
		s := start(t, nil)
		p := newPerson(t)
		p.beginsClaim(s, emailOf(t, noCard), numberOf(t, noCard))
		reader := newPerson(t)
		reader.open(s.issuer + "/dev/mail")
		p.send("/claim/code", url.Values{"code": {mailedIn.FindString(reader.text())}})
		p.send("/claim/choose", url.Values{"way": {"federated"}, "alone": {"yes"}})
		var subs []string // of whom the second is linked to nobody
		for in := range p.all("input") {
			if attr(in, "type") == "radio" {
				subs = append(subs, attr(in, "value"))
			}
		}
		stranger := newPerson(t)
		stranger.beginsClaim(s, "x@y.example", "")
		stranger.open(s.issuer + "/account/add/federated?code=x&state=" + url.QueryEscape(p.at.Query().Get("asked")))
		if stranger.at.Path != "/login" {
			t.Errorf("another browser comes back to %s", stranger.at)
		}
		p.send(s.issuer+demo.UpstreamPath+"/choose", url.Values{"sub": {subs[1]}})
		p.wantPage(http.StatusOK, "You can sign in now")
	})
	t.Run("A11: until the code is shown everybody reads the same, whatever is wrong", func(t *testing.T) {
		first := map[string]string{}
		for name, who := range map[string][2]string{
			"all is right":       {emailOf(t, noCard), numberOf(t, noCard)},
			"another's number":   {emailOf(t, noCard), numberOf(t, raManager)},
			"no number on file":  {emailOf(t, fiveRoles), "QQ123456C"},
			"nobody's address":   {"nobody@riverside.example", "QQ123456C"},
			"no address at all":  {"", ""},
			"no number":          {emailOf(t, noCard), ""},
			"no address, but so": {"x", "QQ123456C"},
			"unverified":         {emailOf(t, unverified), "QQ123456C"},
			"restricted":         {emailOf(t, restricted), "QQ123456C"},
			"closed":             {emailOf(t, closed), "QQ123456C"},
		} {
			w.wait(25 * time.Hour)
			p := newPerson(t)
			p.beginsClaim(w.running, who[0], who[1])
			if p.at.Path != "/claim/code" {
				t.Fatalf("%s: %s", name, p.seen())
			}
			pages := map[string]string{"asked": p.alike()}
			for n := range 7 {
				p.send("/claim/code", url.Values{"code": {"0000-0000"}})
				pages[fmt.Sprint("guess ", n)] = p.alike()
			}
			for at, said := range pages {
				if first[at] == "" {
					first[at] = said
				}
				if said != first[at] {
					t.Errorf("%s, %s:\n%s\nand another read\n%s", name, at, said, first[at])
				}
			}
		}
	})
	w.wait(25 * time.Hour)
	t.Run("A7: of two browsers that claim one profile at once one adds its key, and the other is told", func(t *testing.T) {
		w := &peerWorld{clocked: aClocked(t, nil)}
		people := []*person{w.comesTo(t, noCard, "passkey"), w.comesTo(t, noCard, "passkey")}
		var forms []url.Values
		for _, p := range people {
			forms = append(forms, p.claimsKey(w.running, aKey(t)))
		}
		if won := atOnce(people, func(i int) bool {
			people[i].post("/claim/passkey", forms[i])
			if people[i].status == http.StatusOK {
				return true
			}
			people[i].wantNo(http.StatusConflict, "CLM-04")
			return false
		}); won != 1 {
			t.Errorf("%d added a key", won)
		}
		for _, p := range people { // and nothing is left of either
			p.post("/claim/choose", url.Values{"way": {"passkey"}, "alone": {"yes"}})
			p.wantNo(http.StatusBadRequest, "CLM-03")
		}
	})
	w.wait(25 * time.Hour)
	t.Run("A7: no step is left out, by whomever", func(t *testing.T) {
		w := &peerWorld{clocked: aClocked(t, nil)}
		p := leavesNothingOut(t, w.running, func() string { return w.lastMailed(t, emailOf(t, noCard)) })
		w.wait(16 * time.Minute) // too late
		p.skips(w.running)
	})
	w.wait(25 * time.Hour)
	t.Run("A7: a code is good for ten minutes, and of 200 guesses at once it survives none", func(t *testing.T) {
		w := &peerWorld{clocked: aClocked(t, nil)}
		p := newPerson(t)
		p.beginsClaim(w.running, emailOf(t, noCard), numberOf(t, noCard))
		code := w.lastMailed(t, emailOf(t, noCard))
		at, err := url.Parse(w.issuer)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		guessers := make([]*person, 20)
		for i := range guessers {
			guessers[i] = newPerson(t)
			guessers[i].http.Jar.SetCookies(at, p.http.Jar.Cookies(at))
			guessers[i].at = p.at
			all.Go(func() {
				for n := range 10 {
					guessers[i].post("/claim/code", url.Values{"code": {fmt.Sprintf("%08d", i*10+n)}})
					if guessers[i].at.Path == "/claim/choose" {
						t.Error("a guess is taken")
					}
				}
			})
		}
		all.Wait()
		p.post("/claim/code", url.Values{"code": {code}})
		p.wantNo(http.StatusBadRequest, "ACC-05")
		w.wait(25 * time.Hour)
		p.beginsClaim(w.running, emailOf(t, noCard), numberOf(t, noCard))
		w.wait(10 * time.Minute)
		p.post("/claim/code", url.Values{"code": {w.lastMailed(t, emailOf(t, noCard))}})
		p.wantNo(http.StatusBadRequest, "ACC-05")
	})
	w.wait(25 * time.Hour)
	t.Run("A7: without a solved puzzle nothing is asked, and an answer counts once", func(t *testing.T) {
		p := newPerson(t)
		p.open(w.issuer + "/claim")
		form := p.solves()
		form.Set("email", "x@y.example")
		for _, answer := range []string{"", "x", strings.Repeat("1", 30)} {
			p.post("/claim", url.Values{"puzzle": form["puzzle"], "answer": {answer}, "email": {"x@y.example"}, "number": {"QQ123456C"}})
			p.wantNo(http.StatusBadRequest, "CLM-01")
		}
		p.post("/claim", form)
		if p.at.Path != "/claim/code" {
			t.Errorf("a solved puzzle: %s", p.seen())
		}
		p.post("/claim", form)
		p.wantNo(http.StatusBadRequest, "CLM-01")
	})
	t.Run("A7: an address that is claimed too often waits, whoever's it is and however it is spelt", func(t *testing.T) {
		for _, email := range []string{emailOf(t, oneRole), "nobody@elsewhere.example"} {
			w.wait(25 * time.Hour)
			for n := range 6 {
				p := newPerson(t)
				spelt := email
				if n%2 == 1 {
					spelt = " " + strings.ToUpper(email)
				}
				p.beginsClaim(w.running, spelt, "QQ000000A")
				if limited := p.status == http.StatusTooManyRequests && p.message() == "LIM-01"; limited != (n >= 4) {
					t.Errorf("%s, number %d: %d %s", email, n+1, p.status, p.message())
				}
			}
		}
	})
}

// claimSteps are all that come after the first page of a claim.
var claimSteps = map[string]url.Values{"POST /claim/code": {"code": {"0000-0000"}}, "GET /claim/code": nil, "GET /claim/choose": nil, "POST /claim/choose": {"way": {"passkey"}, "alone": {"yes"}},
	"GET /claim/passkey": nil, "POST /claim/passkey/begin": nil, "POST /claim/passkey": {"name": {"x"}, "answer": {"{}"}},
	"GET /claim/totp": nil, "POST /claim/totp": {"question": {"x"}, "password": {goodPassword}, "code": {"000000"}}}

// skips goes to every step but some, by hand, and must come to none.
func (p *person) skips(s running, but ...string) {
	p.t.Helper()
	for step, form := range claimSteps {
		if slices.Contains(but, step) {
			continue
		}
		method, path, _ := strings.Cut(step, " ")
		p.try(s, method, path, form)
		if p.status != http.StatusBadRequest || p.message() != "CLM-03" {
			p.t.Errorf("%s: %d, %s", step, p.status, p.message())
		}
	}
}

// leavesNothingOut claims step by step, and at each tries those that come later.
// It returns who came to where a key is added.
func leavesNothingOut(t *testing.T, s running, mailed func() string) *person {
	t.Helper()
	newPerson(t).skips(s) // nothing was begun
	p := newPerson(t)
	p.beginsClaim(s, emailOf(t, noCard), numberOf(t, noCard))
	p.skips(s, "POST /claim/code", "GET /claim/code") // the code was not shown
	code := mailed()
	thief := newPerson(t)
	thief.beginsClaim(s, emailOf(t, noCard), "QQ999999D")
	thief.post("/claim/code", url.Values{"code": {code}}) // of another browser
	thief.wantNo(http.StatusBadRequest, "ACC-05")
	p.post("/claim/code", url.Values{"code": {code}})
	p.skips(s, "POST /claim/code", "GET /claim/code", "GET /claim/choose", "POST /claim/choose") // nothing was chosen
	p.post("/claim/choose", url.Values{"way": {"passkey"}})
	p.wantNo(http.StatusBadRequest, "CLM-02")
	p.post("/claim/choose", url.Values{"way": {"smartcard"}, "alone": {"yes"}})
	p.wantNo(http.StatusBadRequest, "CLM-02")
	for range 2 {
		p.post("/claim/code", url.Values{"code": {code}}) // a second time
		p.wantNo(http.StatusBadRequest, "ACC-05")
	}
	p.post("/claim/choose", url.Values{"way": {"passkey"}, "alone": {"yes"}})
	p.wantPage(http.StatusOK, "")
	p.open(s.issuer + "/claim/totp") // another way was chosen
	p.wantNo(http.StatusBadRequest, "CLM-03")
	p.open(s.issuer + "/claim/passkey")
	p.wantPage(http.StatusOK, "")
	return p
}

// mailedIn finds a code in a mail.
var mailedIn = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`)

// scansClaim takes the secret from the page that shows it.
func (p *person) scansClaim() *app {
	p.t.Helper()
	for n := range p.all("code") {
		if attr(n, "id") == "secret" {
			seed, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(strings.TrimSpace(textOf(n)), " ", ""))
			if err != nil {
				p.t.Fatal(err)
			}
			return &app{seed: seed}
		}
	}
	p.t.Fatalf("no secret at %s:\n%s", p.at, p.seen())
	return nil
}
