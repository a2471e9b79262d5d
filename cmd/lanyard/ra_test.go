package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// People of the demo directory with authority in the registration authority.
const (
	raManager = "555000000116"
	raAgent   = "555000000117"
)

// atDeskOf signs in to a page of the registration authority.
func (p *person) atDeskOf(s running, uid, path string) {
	p.t.Helper()
	p.open(s.issuer + path)
	p.signIn(uid)
}

// hidden are the values of the hidden fields of the form to an address.
func (p *person) hidden(action string) url.Values {
	p.t.Helper()
	for form := range p.all("form") {
		if !strings.HasPrefix(attr(form, "action"), action) {
			continue
		}
		v := url.Values{}
		for in := range inside(form, "input") {
			if attr(in, "type") == "hidden" {
				v.Add(attr(in, "name"), attr(in, "value"))
			}
		}
		return v
	}
	p.t.Fatalf("there is no form to %s:\n%s", action, p.seen())
	return nil
}

func TestDeskOfTheRegistrationAuthority(t *testing.T) {
	s := start(t, nil)
	t.Run("own rule: nobody comes to a page of it without a card or a key of the highest level", func(t *testing.T) {
		p := newPerson(t)
		for _, path := range []string{"/ra", "/ra/people/" + oneRole, "/ra/organisations", "/ra/requests", "/ra/policy", "/ra/bulk", "/ra/lists/locked", "/ra/lists/locked.csv", "/ra/change/person_closed?uid=" + oneRole, "/ra/why/person_closed"} {
			p.open(s.issuer + path)
			if p.at.Path != "/login" {
				t.Errorf("%s comes to %s", path, p.at)
			}
			for form := range p.all("form") {
				if strings.HasPrefix(attr(form, "action"), "/login/totp") {
					t.Errorf("%s offers a password", path)
				}
			}
		}
	})
	t.Run("own rule: who holds no authority is told so, and sees nobody", func(t *testing.T) {
		p := newPerson(t)
		p.atDeskOf(s, fiveRoles, "/ra/people/"+oneRole)
		p.wantPage(http.StatusForbidden, "Registration Authority manager")
		if strings.Contains(p.text(), "Asha Smith") {
			t.Errorf("the page says %s", p.text())
		}
		p.post("/ra/change/card_revoked/do", url.Values{"serial": {card(oneRole)}, "reason": {"x"}})
		p.wantPage(http.StatusForbidden, "")
	})
	t.Run("own rule: a lost card is revoked, and what it signed in to ends", func(t *testing.T) {
		holder := newPerson(t)
		holder.open(s.authorizeURL("basic", nil))
		holder.signIn(oneRole)
		holder.wantCode()
		p := newPerson(t)
		p.atDeskOf(s, raManager, "/ra/change/card_revoked?serial="+card(oneRole))
		v := p.hidden("/ra/change/card_revoked/do")
		p.post("/ra/change/card_revoked/do", v)
		p.wantPage(http.StatusUnprocessableEntity, "Reason: enter it")
		v = p.hidden("/ra/change/card_revoked/do")
		v.Set("reason", "lost")
		p.post("/ra/change/card_revoked/do", v)
		p.wantPage(http.StatusOK, "Card revoked")
		holder.signedOut(s)
	})
	t.Run("own rule: a code to add a key is shown once, and stands in no address", func(t *testing.T) {
		p := newPerson(t)
		p.atDeskOf(s, raManager, "/ra/change/authenticator_invited?uid="+noCard)
		p.post("/ra/change/authenticator_invited?uid="+noCard, url.Values{"check.how": {"in_person"}, "check.assurance": {"1"}})
		p.post("/ra/change/authenticator_invited/do?uid="+noCard, p.hidden("/ra/change/authenticator_invited/do"))
		p.wantPage(http.StatusOK, "It is shown once")
	})
	t.Run("own rule: nothing is done that nobody has looked at, and what was looked at is done once", func(t *testing.T) {
		p := newPerson(t)
		p.atDeskOf(s, raManager, "/ra/change/person_restricted?uid="+fiveRoles)
		good := p.hidden("/ra/change/person_restricted/do")
		try := func(token, uid string) {
			t.Helper()
			p.post("/ra/change/person_restricted/do", url.Values{"uid": {uid}, "reason": {"x"}, "token": {token}})
			p.wantPage(http.StatusConflict, "Check once more")
		}
		try("", fiveRoles)
		try("made up", fiveRoles)
		try(good.Get("token"), oneRole) // another one than was looked at
		other := newPerson(t)
		other.atDeskOf(s, raAgent, "/ra/change/person_restricted?uid="+fiveRoles)
		try(other.hidden("/ra/change/person_restricted/do").Get("token"), fiveRoles) // another's
		p.open(s.issuer + "/ra/people/" + fiveRoles)
		p.wantPage(http.StatusOK, "Verified")
	})
	t.Run("own rule: a notice goes to as many as its page has said, and to nobody before", func(t *testing.T) {
		p := newPerson(t)
		p.atDeskOf(s, raManager, "/ra/organisations/X26")
		const form = "/ra/change/notice_sent?organisation=X26"
		if !strings.Contains(p.html(), form) {
			t.Fatal("the organisation's page does not offer it")
		}
		p.post(form, url.Values{"subject": {"a"}, "series": {"x"}})
		p.wantPage(http.StatusUnprocessableEntity, "Card series")
		p.post(form, url.Values{"role": {"R9999"}, "subject": {"a"}, "text": {"b"}})
		p.wantPage(http.StatusOK, "Nobody is meant")
		p.post(form, url.Values{"role": {"S0080:G0450:R5090"}, "series": {"10"}, "subject": {"Card readers"}, "text": {"They are replaced.\r\n\r\nUse the others."}})
		p.wantPage(http.StatusOK, "This mail goes to 1 person.")
		sent, mails := p.hidden("/ra/change/notice_sent/do"), newPerson(t)
		if sent.Get("role") != "R5090" {
			t.Errorf("it is for the role %q", sent.Get("role"))
		}
		mails.open(s.issuer + "/dev/mail")
		if strings.Contains(mails.text(), "Card readers") {
			t.Error("to look at it sends it")
		}
		p.post("/ra/change/notice_sent/do?organisation=X26", sent)
		p.wantPage(http.StatusOK, "Notice sent by e-mail")
		if p.at.Path != "/ra/organisations/X26" {
			t.Errorf("it leads to %s", p.at)
		}
		mails.open(s.issuer + "/dev/mail")
		if text := mails.text(); strings.Count(text, "Card readers") != 1 || !strings.Contains(text, "daniel.goldberg@northern.example") || !strings.Contains(text, "Use the others.") {
			t.Errorf("the mails are\n%s", text)
		}
	})
	t.Run("own rule: who may send no notice is told why, where it is not offered", func(t *testing.T) {
		p := newPerson(t)
		p.atDeskOf(s, raAgent, "/ra/organisations/X26")
		if strings.Contains(p.html(), "/ra/change/notice_sent") {
			t.Error("it is offered")
		}
		p.open(s.issuer + "/ra/change/notice_sent?organisation=X26")
		if p.at.Path != "/ra/why/notice_sent" {
			t.Errorf("it leads to %s", p.at)
		}
		p.wantPage(http.StatusOK, "RA manager")
	})
	t.Run("own rule: what a page does not offer is refused beneath it, and by the same rules", func(t *testing.T) {
		p := newPerson(t)
		p.atDeskOf(s, raAgent, "/ra/people/"+oneRole)
		for kind, form := range map[string]url.Values{
			"person_closed":           {"uid": {oneRole}, "reason": {"x"}},
			"people_merged":           {"duplicate": {oneRole}, "into": {fiveRoles}, "reason": {"x"}},
			"organisation_closed":     {"code": {"RX9"}, "on": {"2200-01-01"}, "reason": {"x"}},
			"notice_sent":             {"organisation": {"X26"}, "subject": {"x"}, "text": {"x"}},
			"series_rule_set":         {"series": {"9"}, "blocked_from": {"2020-01-01"}},
			"authenticator_invited":   {"uid": {oneRole}, "check.how": {"in_person"}, "check.assurance": {"1"}},
			"person_changed":          {"uid": {raAgent}, "name.given": {"A"}, "name.family": {"B"}}, // themself
			"card_revoked":            {"serial": {card(raAgent)}, "reason": {"x"}},
			"position_assigned":       {"uids": {oneRole}, "organisation": {"X26"}, "role_code": {"S0080:G0450:R5080"}}, // an authority
			"signed_out_everywhere":   {"uid": {raAgent}},
			"authenticator_suspended": {"uid": {raAgent}, "id": {"1"}, "reason": {"x"}},
		} {
			if strings.Contains(p.html(), "/ra/change/"+kind+"?") && kind != "card_revoked" && kind != "position_assigned" && kind != "person_changed" && kind != "signed_out_everywhere" && kind != "authenticator_suspended" {
				t.Errorf("%s is offered", kind)
			}
			for _, path := range []string{"/ra/change/" + kind, "/ra/change/" + kind + "/do"} {
				status, body := p.fetch(path, form)
				if status != http.StatusForbidden {
					t.Errorf("%s is answered %d: %.300s", path, status, body)
				}
			}
		}
	})
}
