package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

// beginsProfile says who they are, and comes to where the code is asked for.
func (p *person) beginsProfile(s running, email string) {
	p.t.Helper()
	p.open(s.issuer + "/register")
	form := p.solves()
	form.Set("email", email)
	form.Set("given", "Olwen")
	form.Set("family", "Parry")
	p.post("/register", form)
}

func TestRegistering(t *testing.T) {
	w := &peerWorld{clocked: aClocked(t, nil)}
	const address = "olwen.parry@home.example"
	t.Run("own rule: who makes a profile signs in where unverified people may, and where others may once they are verified", func(t *testing.T) {
		k := w.vouched(t)
		p := newPerson(t)
		p.beginsProfile(w.running, address)
		p.wantPage(http.StatusOK, "If nobody has a profile with that address")
		p.send("/claim/code", url.Values{"code": {w.lastMailed(t, address)}})
		p.wantPage(http.StatusOK, "Olwen Parry")
		p.send("/claim/choose", url.Values{"way": {"passkey"}, "alone": {"yes"}})
		p.send("/claim/passkey", p.claimsKey(w.running, k))
		p.wantPage(http.StatusOK, "You have a profile")
		if p.at.Path != "/register/done" {
			t.Errorf("at %s", p.at)
		}
		mails := w.people.Mails()
		uid := mails[len(mails)-1].Args["uid"]
		if !idp.IsUID(uid) {
			t.Fatalf("the mail is %+v", mails[len(mails)-1])
		}

		signsIn := func(client string) *person {
			in := newPerson(t)
			in.open(w.authorizeURL(client, anyLevel))
			in.usesKey(w.running, k)
			return in
		}
		wantSame(t, "sub", w.claims(t, "finder", signsIn("finder").wantCode())["sub"], uid)
		refused := signsIn("basic")
		if refused.answer().Get("code") != "" {
			t.Error("an unverified profile came into an application that does not accept those")
		}

		desk := newPerson(t)
		desk.atDeskOf(w.running, raAgent, "/ra/change/person_verified?uid="+uid)
		desk.post("/ra/change/person_verified?uid="+uid, url.Values{"check.how": {"in_person"}, "check.assurance": {"3"}, "check.documents": {"passport"}})
		sure := desk.hidden("/ra/change/person_verified/do")
		sure.Set("confirmed", "true") // that what they bound themself is theirs
		desk.post("/ra/change/person_verified/do?uid="+uid, sure)
		desk.wantPage(http.StatusOK, "Verified")
		claims := w.claims(t, "basic", signsIn("basic").wantCode())
		wantSame(t, "sub", claims["sub"], uid)
		wantSame(t, "authentication_assurance_level", claims["authentication_assurance_level"], "2")
	})
	t.Run("A11: an address that is somebody's reads as one that is nobody's", func(t *testing.T) {
		first := ""
		for _, email := range []string{"nobody.yet@home.example", emailOf(t, noCard), address} {
			before := len(w.people.Mails())
			p := newPerson(t)
			p.beginsProfile(w.running, email)
			if first == "" {
				first = p.alike()
			} else if p.alike() != first {
				t.Errorf("%s reads %s\nand another %s", email, p.alike(), first)
			}
			sent := false
			for _, m := range w.people.Mails()[before:] {
				sent = sent || strings.EqualFold(m.To, email)
			}
			if sent != (email == "nobody.yet@home.example") {
				t.Errorf("a code was sent to %s: %t", email, sent)
			}
		}
	})
	t.Run("own rule: no step can be left out, and a name is wanted", func(t *testing.T) {
		p := newPerson(t)
		for _, path := range []string{"/claim/code", "/claim/choose", "/claim/passkey"} {
			p.open(w.issuer + path)
			if p.status < 400 {
				t.Errorf("%s has status %d", path, p.status)
			}
		}
		p.open(w.issuer + "/register")
		form := p.solves()
		form.Set("email", "x@home.example")
		p.post("/register", form)
		p.wantPage(http.StatusUnprocessableEntity, "Make a profile")
		p.post("/register", url.Values{"email": {"x@home.example"}, "given": {"A"}, "family": {"B"}})
		p.wantNo(http.StatusBadRequest, "CLM-01")
	})
}
