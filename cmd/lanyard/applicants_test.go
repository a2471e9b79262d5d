package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// invitationCode finds the code of an invitation in a mail.
var invitationCode = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}`)

// codeTo is the code in the last mail to an address that a development service
// has caught.
func codeTo(t *testing.T, s running, address string) string {
	t.Helper()
	p := newPerson(t)
	p.open(s.issuer + "/dev/mail")
	text := p.text()
	_, after, found := strings.Cut(text, address)
	code := invitationCode.FindString(after)
	if !found || code == "" {
		t.Fatalf("no code was sent to %s:\n%s", address, text)
	}
	return code
}

// anApplicantSays is what somebody writes who applies.
func anApplicantSays() url.Values {
	return url.Values{"name.title": {"Ms"}, "name.given": {"Olwen"}, "name.family": {"Parry"}, "born": {"1991-04-30"}, "ni_number": {"ab 12 34 56 c"}, "mobile": {"07700 900 456"}}
}

// applyTo applies with a code.
func (p *person) applyTo(s running, code string, says url.Values) {
	p.t.Helper()
	p.open(s.issuer + "/apply")
	p.send("/apply", url.Values{"code": {code}})
	p.send("/apply/details", says)
}

// everyApplicant asks for all that the API has of applicants.
func everyApplicant(p *steward, s running) {
	p.t.Helper()
	asked := m{"email": "olwen.parry@riverside.example", "organisation": "RX901", "reason": "begins in May"}
	id := p.call("POST", "/applicants", asked, 201).made(p.t)
	p.call("POST", "/applicants/"+id+"/accept", m{"check": anIdentityCheck()}, 409)
	newPerson(p.t).applyTo(s, codeTo(p.t, s, "olwen.parry@riverside.example"), anApplicantSays())
	if shown := p.call("GET", "/applicants/"+id, nil, 200); shown.body["state"] != "applied" || shown.body["born"] != "1991-04-30" || strings.Contains(shown.text, "AB123456C") {
		p.t.Errorf("the applicant is %s", shown.text)
	}
	p.call("GET", "/applicants?at=RX901", nil, 200)
	uid := p.call("POST", "/applicants/"+id+"/accept", m{"check": anIdentityCheck()}, 200).made(p.t)
	if shown := p.call("GET", "/people/"+uid, nil, 200); shown.body["profile"] != "verified" || shown.body["ni_number_known"] != true || !strings.Contains(shown.text, "Parry") {
		p.t.Errorf("the person is %s", shown.text)
	}
	asked["email"] = "somebody.else@riverside.example"
	id = p.call("POST", "/applicants", asked, 201).made(p.t)
	p.call("POST", "/applicants/"+id+"/refuse", m{"reason": "they do not come"}, 200)
	p.call("GET", "/applicants/none", nil, 404)
}

func TestApplying(t *testing.T) {
	s := start(t, nil)
	const address = "olwen.parry@riverside.example"
	invite := func(t *testing.T, address string) *person {
		t.Helper()
		p := newPerson(t)
		p.atDeskOf(s, raAgent, "/ra/applicants")
		p.link("/ra/change/applicant_invited")
		form := url.Values{"email": {address}, "organisation": {"RX901"}, "reason": {"begins in May"}}
		p.post("/ra/change/applicant_invited", form)
		p.post("/ra/change/applicant_invited/do", p.hidden("/ra/change/applicant_invited/do"))
		p.wantPage(http.StatusOK, address)
		if invitationCode.MatchString(p.text()) {
			t.Errorf("who invites reads the code: %s", p.text())
		}
		return p
	}
	t.Run("own rule: who is invited applies at a page of their own, in their language, and is made a verified person", func(t *testing.T) {
		desk := invite(t, address)
		code := codeTo(t, s, address)
		a := newPerson(t)
		a.accept = "cy"
		a.open(s.issuer + "/apply")
		a.wantPage(http.StatusOK, "Gwneud cais am hunaniaeth gofal")
		a.send("/apply", url.Values{"code": {strings.ToLower(strings.ReplaceAll(code, "-", " "))}})
		a.wantPage(http.StatusOK, "Pwy ydych chi")
		a.wantPage(http.StatusOK, address)
		if strings.Contains(a.at.String(), code) {
			t.Errorf("the code stands in an address: %s", a.at)
		}
		wrong := anApplicantSays()
		wrong.Set("ni_number", "nothing")
		a.send("/apply/details", wrong)
		a.wantPage(http.StatusUnprocessableEntity, "Rhif Yswiriant Gwladol:")
		a.send("/apply/details", anApplicantSays())
		a.wantPage(http.StatusOK, "Rydych wedi gwneud cais")

		desk.open(s.issuer + "/ra/applicants")
		desk.wantPage(http.StatusOK, "Ms Olwen Parry")
		desk.link("/ra/applicants/")
		desk.wantPage(http.StatusOK, "30 April 1991")
		if strings.Contains(desk.text(), "AB123456C") {
			t.Errorf("the page shows the National Insurance number")
		}
		desk.link("/ra/change/applicant_accepted")
		desk.post(desk.at.RequestURI(), url.Values{"check.how": {"in_person"}, "check.assurance": {"3"}, "check.documents": {"passport"}})
		desk.wantPage(http.StatusOK, "Accept an applicant")
		desk.post("/ra/change/applicant_accepted/do?"+desk.at.RawQuery, desk.hidden("/ra/change/applicant_accepted/do"))
		desk.wantPage(http.StatusOK, "Applicant accepted")
		desk.wantPage(http.StatusOK, "Ms Olwen Parry")
		desk.wantPage(http.StatusOK, "Verified")
	})
	t.Run("own rule: a code that was used, or never sent, opens nothing, and no step can be left out", func(t *testing.T) {
		a := newPerson(t)
		for _, code := range []string{codeTo(t, s, address), "ABCD-EFGH-JKMN", ""} {
			a.open(s.issuer + "/apply")
			a.send("/apply", url.Values{"code": {code}})
			a.wantPage(http.StatusForbidden, "A code from an invitation works once")
		}
		a.open(s.issuer + "/apply/details")
		a.wantPage(http.StatusForbidden, "A code from an invitation works once")
		a.post("/apply/details", anApplicantSays())
		a.wantPage(http.StatusForbidden, "A code from an invitation works once")
	})
	t.Run("own rule: two browsers with one code, and one applies", func(t *testing.T) {
		const another = "two.browsers@riverside.example"
		invite(t, another)
		code := codeTo(t, s, another)
		one, other := newPerson(t), newPerson(t)
		for _, p := range []*person{one, other} {
			p.open(s.issuer + "/apply")
			p.send("/apply", url.Values{"code": {code}})
		}
		one.send("/apply/details", anApplicantSays())
		one.wantPage(http.StatusOK, "You have applied")
		other.send("/apply/details", anApplicantSays())
		other.wantPage(http.StatusForbidden, "A code from an invitation works once")
	})
}
