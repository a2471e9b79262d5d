package main

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard/legacyclient"
)

// wrappedMessages brings the gateway messages in which what one reader takes is
// not what another takes. No signed XML is read anywhere: the signature is CMS,
// over a challenge of ours, and one that holds two of anything is refused too.
func wrappedMessages(t *testing.T, _ *peerWorld) {
	s := startLegacy(t, nil)
	a := s.legacyAgent(oneRole, card(oneRole))
	param := func(name, text string) string { return `<gpPARAM name="` + name + `">` + text + `</gpPARAM>` }
	for what, wrap := range map[string]func(params, response string) string{
		"a comment in the uid": func(p, r string) string {
			return "<gpOBJECT>" + strings.Replace(p, "555000", "555<!-- -->000", 1) + r + "</gpOBJECT>"
		},
		"a section in the uid": func(p, r string) string {
			return "<gpOBJECT>" + strings.Replace(p, oneRole, "<![CDATA["+fiveRoles+"]]>", 1) + r + "</gpOBJECT>"
		},
		"two uids":      func(p, r string) string { return "<gpOBJECT>" + p + param("uid", fiveRoles) + r + "</gpOBJECT>" },
		"two responses": func(p, r string) string { return "<gpOBJECT>" + p + r + r + "</gpOBJECT>" },
		"two messages": func(p, r string) string {
			return "<gpOBJECT>" + p + r + "</gpOBJECT><gpOBJECT>" + p + r + "</gpOBJECT>"
		},
		"a message in a message":     func(p, r string) string { return "<gpOBJECT><gpOBJECT>" + p + r + "</gpOBJECT></gpOBJECT>" },
		"a parameter in a parameter": func(p, r string) string { return "<gpOBJECT>" + p + `<gpPARAM name="x">` + r + "</gpPARAM></gpOBJECT>" },
		"another name space":         func(p, r string) string { return `<gpOBJECT xmlns="urn:x">` + p + r + "</gpOBJECT>" },
		"a prefix":                   func(p, r string) string { return `<x:gpOBJECT xmlns:x="urn:x">` + p + r + "</x:gpOBJECT>" },
		"an entity": func(p, r string) string {
			return `<!DOCTYPE gpOBJECT [<!ENTITY u "` + fiveRoles + `">]><gpOBJECT>` + p + r + "</gpOBJECT>"
		},
		"a file": func(p, r string) string {
			return `<!DOCTYPE gpOBJECT SYSTEM "file:///etc/passwd"><gpOBJECT>` + p + r + "</gpOBJECT>"
		},
		"an attribute with the same name": func(p, r string) string {
			return "<gpOBJECT>" + p + strings.Replace(r, `name="response"`, `name="x" name="response"`, 1) + "</gpOBJECT>"
		},
	} {
		challenge, signature, _, err := a.Activate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		signed, err := a.Sign(challenge)
		if err != nil {
			t.Fatal(err)
		}
		params := param("service", "AUTHENTICATION") + param("log_session_id", a.Log) + param("device_id", a.Device) + param("challenge", challenge) + param("signature", signature) + param("uid", oneRole)
		body := xml.Header + wrap(params, `<gpPARAM name="response" encoding="base64">`+signed+`</gpPARAM>`)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+"/login/authvalidate", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", "GACv2.4.10.0")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", what, resp.StatusCode)
		}
	}
}

// foreignTickets brings SSO tokens that another service made, that are over, or
// that were made for something else: all are the same nothing.
func foreignTickets(t *testing.T, _ *peerWorld) {
	s, other := startLegacy(t, nil), startLegacy(t, nil)
	theirs, over := other.legacySignedIn(oneRole), s.legacySignedIn(oneRole)
	ticket := over.Ticket
	if err := over.SignOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	late := s.legacySignedIn(oneRole)
	s.pass(time.Hour + time.Second)
	made := s.exchange(t, "exchanges", s.legacySignedIn(fiveRoles).Ticket, ofSSO, nil)
	made.wantOK(t)
	a := &legacyclient.Agent{Base: s.issuer, HTTP: http.DefaultClient}
	for what, token := range map[string]string{"another service's": theirs.Ticket, "one that is over": ticket, "one that is late": late.Ticket, "an access token": made.said("access_token")} {
		a.Ticket = token
		wantLives(t, a, false)
		if _, saml := legacyAsks(t, a, "/saml/RoleAssertion", "token"); strings.Contains(saml, "Success") {
			t.Errorf("%s: %s", what, saml)
		}
		if status, said := legacyAsks(t, a, "/identity/attributes", "subjectid"); status != http.StatusUnauthorized || strings.Contains(said, "userdetails") {
			t.Errorf("%s: %d %s", what, status, said)
		}
		if _, err := a.Choose(t.Context(), "555000000201"); err == nil {
			t.Errorf("%s chooses a role", what)
		}
		s.exchange(t, "exchanges", token, ofSSO, nil).wantError(t, http.StatusBadRequest, "invalid_request")
		s.exchange(t, "exchanges", token, ofSSO, url.Values{"audience": {"records"}}).wantError(t, http.StatusBadRequest, "invalid_request")
	}
}
