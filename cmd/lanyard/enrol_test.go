package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
	"github.com/lanyard-id/lanyard/idp"
)

// invites has the registration authority invite somebody, and returns the code.
func (s running) invites(t *testing.T, uid string) string {
	t.Helper()
	p := newPerson(t)
	form := "/ra/change/authenticator_invited"
	p.atDeskOf(s, raManager, form+"?uid="+uid)
	p.post(form+"?uid="+uid, url.Values{"check.how": {"video"}, "check.assurance": {"1"}})
	p.post(form+"/do?uid="+uid, p.hidden(form+"/do"))
	for code := range p.all("code") {
		if attr(code, "id") == "secret" {
			return strings.TrimSpace(textOf(code))
		}
	}
	t.Fatalf("no code is shown:\n%s", p.seen())
	return ""
}

// brings types a code at the page for it.
func (p *person) brings(s running, code string) {
	p.t.Helper()
	p.open(s.issuer + "/enrol")
	p.send("/enrol", url.Values{"code": {code}})
}

// wantNo wants the page at hand to refuse something, with that message.
func (p *person) wantNo(status int, code string) {
	p.t.Helper()
	p.wantPage(status, "")
	if got := p.message(); got != code {
		p.t.Errorf("the page says %s, want %s", got, code)
	}
}

// answersWith is what a key answers at the page that adds it.
func (p *person) answersWith(s running, k *testkey.Key) url.Values {
	p.t.Helper()
	status, question := p.fetch("/enrol/key/begin", nil)
	if status != http.StatusOK {
		p.t.Fatalf("the question for a key: %d, %s", status, question)
	}
	answer, err := k.Create(question, origin(s.issuer))
	if err != nil {
		p.t.Fatal(err)
	}
	return url.Values{"name": {"Blue key"}, "answer": {string(answer)}}
}

func TestEnrolling(t *testing.T) { onEveryStage(t, peopleEnrol) }

func peopleEnrol(t *testing.T, s running) {
	t.Helper()
	t.Run("own rule: who has the registration authority's code adds a key, and signs in with it", func(t *testing.T) {
		code, k := s.invites(t, raAgent), aKey(t)
		p := newPerson(t)
		p.brings(s, strings.ToLower(strings.ReplaceAll(code, "-", " ")))
		p.wantPage(http.StatusOK, someone(t, raAgent).Name.Display)
		p.wantPage(http.StatusOK, someone(t, raManager).Name.Display)
		p.wantPage(http.StatusOK, "by video")
		p.send("/enrol/key", p.answersWith(s, k))
		p.wantPage(http.StatusOK, "Your key was added")
		p.wantPage(http.StatusOK, "level 2") // nobody vouches for it
		if left := p.cookies(s, "lanyard-held-"); len(left) > 0 {
			t.Errorf("the browser still holds %v", left)
		}
		in := s.asks(t)
		in.usesKey(s, k)
		wantSame(t, "sub", s.claims(t, "basic", in.wantCode())["sub"], raAgent)
		p.brings(s, code)
		p.wantNo(http.StatusBadRequest, "RA-39")
	})
	t.Run("own rule: of two browsers with one code one adds its key, and the other is told", func(t *testing.T) {
		code := s.invites(t, fiveRoles)
		people := []*person{newPerson(t), newPerson(t)}
		forms := make([]url.Values, len(people))
		for i, p := range people {
			p.brings(s, code)
			forms[i] = p.answersWith(s, aKey(t))
		}
		if won := atOnce(people, func(i int) bool {
			people[i].post("/enrol/key", forms[i])
			if people[i].status == http.StatusOK {
				return true
			}
			people[i].wantNo(http.StatusBadRequest, "RA-39")
			return false
		}); won != 1 {
			t.Errorf("%d added a key", won)
		}
	})
	t.Run("own rule: an answer counts in the browser that was asked, and a key without a name does not use the code up", func(t *testing.T) {
		code := s.invites(t, noRole)
		p, thief := newPerson(t), newPerson(t)
		p.brings(s, code)
		thief.brings(s, code)
		thief.post("/enrol/key", p.answersWith(s, aKey(t)))
		thief.wantNo(http.StatusBadRequest, "KEY-03")
		form := p.answersWith(s, aKey(t))
		form.Set("name", " ")
		p.post("/enrol/key", form)
		p.wantNo(http.StatusBadRequest, "ACC-03")
		p.post("/enrol/key", p.answersWith(s, aKey(t)))
		p.wantPage(http.StatusOK, "Your key was added")
	})
	t.Run("own rule: no page after the first is for who has no code", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.issuer + "/enrol/key")
		p.wantNo(http.StatusBadRequest, "RA-39")
		if status, body := p.fetch("/enrol/key/begin", nil); status != http.StatusBadRequest || json.Valid(body) {
			t.Errorf("a question for nobody: %d, %.200s", status, body)
		}
		p.post("/enrol/key", url.Values{"name": {"x"}, "answer": {"{}"}})
		p.wantNo(http.StatusBadRequest, "RA-39")
		at, err := url.Parse(s.issuer)
		if err != nil {
			t.Fatal(err)
		}
		p.http.Jar.SetCookies(at, []*http.Cookie{{Name: "lanyard-held-enrol", Value: idp.NewSecret() + ".000000000000", Path: "/"}})
		p.open(s.issuer + "/enrol/key")
		p.wantNo(http.StatusBadRequest, "RA-39")
	})
	t.Run("own rule: wrong codes are limited, wherever they come in", func(t *testing.T) {
		p := newPerson(t)
		for range 20 {
			if p.brings(s, "0000-0000-0000"); p.status == http.StatusTooManyRequests {
				break
			}
			p.wantNo(http.StatusBadRequest, "RA-39")
		}
		p.wantNo(http.StatusTooManyRequests, "LIM-01")
		p.open(s.issuer + "/enrol/key") // holds nothing
		p.wantNo(http.StatusBadRequest, "RA-39")
	})
}
