package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
)

// aRequestOf is a request for a certificate, and the key that has signed it.
func aRequestOf(t *testing.T) (crypto.Signer, string) {
	t.Helper()
	key, csr, err := newVirtual()
	if err != nil {
		t.Fatal(err)
	}
	return key, csr
}

// inCard puts a certificate on a card with its key.
func inCard(t *testing.T, key crypto.Signer, certificate string) *virtualcard.Card {
	t.Helper()
	all, err := parseAuthorities([]byte(certificate))
	if err != nil {
		t.Fatal(err)
	}
	c, err := virtualcard.New(virtualcard.Config{Key: key, Certificate: all[0], Passcode: passcode, PUK: "12345678"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// everyCertificate asks for all that the API has of certificates.
func everyCertificate(p *steward, s running) {
	p.t.Helper()
	_, csr := aRequestOf(p.t)
	asked := m{"csr": csr, "series": 9, "reason": "a new card"}
	preview := p.call("POST", "/people/"+noCard+"/cards/issue?check=true", asked, 200)
	if strings.Contains(preview.text, "CERTIFICATE") {
		p.t.Errorf("a preview has a certificate: %s", preview.text)
	}
	done := p.call("POST", "/people/"+noCard+"/cards/issue", asked, 201)
	serial := done.made(p.t)
	shown := p.call("GET", "/cards/"+serial+"/certificate", nil, 200)
	if shown.body["certificate"] != done.body["certificate"] || shown.body["uid"] != noCard {
		p.t.Errorf("issued %s\nshown %s", done.text, shown.text)
	}
	p.call("POST", "/people/"+noCard+"/cards/issue", asked, 409)
	p.call("POST", "/people/"+noCard+"/cards/issue", m{"csr": "please", "series": 9}, 422)
	p.call("GET", "/cards/AB0001/certificate", nil, 404)

	resp := do(p.t, request(p.t, http.MethodGet, s.issuer+dev.CardPath+"?uid="+fiveRoles, nil, ""))
	var file struct{ Certificate []byte }
	text, err := json.Marshal(resp.body)
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	theirs := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: file.Certificate}))
	p.call("POST", "/people/"+oneRole+"/cards/record", m{"certificate": theirs, "series": 9}, 422)
	p.call("POST", "/people/"+fiveRoles+"/cards/record", m{"certificate": theirs, "series": 9}, 201)
	p.call("POST", "/people/"+fiveRoles+"/cards/record", m{"certificate": theirs, "series": 9}, 409)
}

// anIssuing has a service issue certificates: its authority signs itself.
func anIssuing(t *testing.T) func(map[string]string) {
	return func(settings map[string]string) {
		t.Helper()
		key := filepath.Join(t.TempDir(), "cards.key")
		made := lanyard(t, settings, "keys", "card-authority", "--key", key, "--name", "Riverside Cards", "--self-signed", "5")
		if made.status != 0 {
			t.Fatalf("%d\n%s", made.status, made.errors)
		}
		file := written(t, made.out)
		settings["cards.authority_file"], settings["cards.key_file"] = file, key
		settings["smartcard.trust_files"] += "," + file
		settings["policy.home"] = demoHome
	}
}

// asksFor is a person whose page asks for a card, with the agent that has one.
func (s running) asksFor(t *testing.T, card *virtualcard.Card) (*person, *deskAgent) {
	t.Helper()
	p := newPerson(t)
	p.open(s.authorizeURL("basic", nil))
	p.send("/login/smartcard/begin", nil)
	a := newDeskAgent(t, s.issuer, card, time.Now)
	a.redeem(p.starts().Get("h"))
	return p, a
}

func TestIssuedCards(t *testing.T) {
	t.Parallel()
	all, settings := productionAt(t, "", 1, anIssuing(t))
	s := all[0]
	chain, err := readAuthorities(settings["cards.authority_file"])
	if err != nil {
		t.Fatal(err)
	}
	authority := chain[0]
	manager := aSteward(t, s, signedInAs(t, s, newPerson(t), raManager).Token)
	key, csr := aRequestOf(t)
	issued := manager.call("POST", "/people/"+noCard+"/cards/issue", m{"csr": csr, "series": 9, "reason": "a new card"}, 201)
	serial := issued.made(t)
	text, _ := issued.body["certificate"].(string)
	card := inCard(t, key, text)

	t.Run("own rule: a certificate says whose card it is, whatever the request says, and where to ask about it", func(t *testing.T) {
		c := card.Certificate()
		if c.Subject.CommonName != noCard || len(c.Subject.Names) != 1 || challenge.Serial(c) != serial ||
			len(c.OCSPServer) != 1 || c.OCSPServer[0] != s.issuer+"/cards/ocsp" || len(c.CRLDistributionPoints) != 1 || c.CRLDistributionPoints[0] != s.issuer+"/cards/crl" {
			t.Errorf("of %s: %v, %v", c.Subject, c.OCSPServer, c.CRLDistributionPoints)
		}
		if left := time.Until(c.NotAfter); left < 729*24*time.Hour || left > 731*24*time.Hour {
			t.Errorf("it lasts %v", left)
		}
	})
	t.Run("own rule: a card signs in with the certificate that it was issued, and not once it is revoked", func(t *testing.T) {
		p, a := s.asksFor(t, card)
		a.respond(a.answer(nil)).wantOK(t)
		p.again()
		p.open(a.doneURL())
		claims := payload(t, s.redeem(t, "basic", p.wantCode(), nil))
		if claims["sub"] != noCard || claims["authentication_assurance_level"] != "3" {
			t.Errorf("the ID token says %v", claims)
		}
		if got := vouched(t, s, card, authority); got != revocation.Good {
			t.Errorf("by OCSP and the list: %v", got)
		}
		manager.t = t
		manager.call("POST", "/cards/"+serial+"/revoke", m{"reason": "lost"}, 200)
		p, a = s.asksFor(t, card)
		if got := a.respond(a.answer(nil)); got.status != http.StatusForbidden || got.body["code"] != "CRT-03" {
			t.Errorf("a revoked card: %d, %v", got.status, got.body)
		}
		p.again()
		p.wantPage(http.StatusForbidden, "This card has been cancelled.")
		until(t, "the list names the card", func() bool { return vouched(t, s, card, authority) == revocation.Revoked })
	})
	t.Run("own rule: a renewal is of the same person, and the card of before stays on record", func(t *testing.T) {
		manager.t = t
		_, again := aRequestOf(t)
		first := manager.call("POST", "/people/"+noRole+"/cards/issue", m{"csr": again, "series": 9}, 201).made(t)
		next, csr := aRequestOf(t)
		second := manager.call("POST", "/people/"+noRole+"/cards/issue", m{"csr": csr, "series": 9, "old": first}, 201)
		shown := manager.call("GET", "/people/"+noRole, nil, 200)
		if n := strings.Count(shown.text, `"certified":true`); n != 2 || !strings.Contains(shown.text, `"revoked_at"`) {
			t.Errorf("she has %s", shown.text)
		}
		manager.call("GET", "/cards/"+first+"/certificate", nil, 200)
		text, _ := second.body["certificate"].(string)
		_, a := s.asksFor(t, inCard(t, next, text))
		a.respond(a.answer(nil)).wantOK(t)
	})
	t.Run("own rule: at the desk of the registration authority a request is pasted, and the certificate is a file", func(t *testing.T) {
		p := newPerson(t)
		p.atDeskOf(s, raManager, "/ra/people/"+oneRole)
		p.link("/ra/change/certificate_issued?uid=")
		form := url.Values{"csr": {"please"}, "series": {"9"}, "reason": {"a new card"}}
		p.post("/ra/change/certificate_issued?uid="+oneRole, form)
		p.wantPage(http.StatusUnprocessableEntity, "Request for a certificate: it does not have the right form")
		_, csr := aRequestOf(t)
		form.Set("csr", strings.ReplaceAll(csr, "\n", "\r\n"))
		p.post("/ra/change/certificate_issued?uid="+oneRole, form)
		p.post("/ra/change/certificate_issued/do?uid="+oneRole, p.hidden("/ra/change/certificate_issued/do"))
		p.wantPage(http.StatusOK, "Certificate of a card issued")
		p.link(".pem")
		if text := p.text(); !strings.Contains(text, "-----BEGIN CERTIFICATE-----") {
			t.Errorf("the file is %.80q", text)
		}
	})
	t.Run("own rule: nothing else of the authority is open", func(t *testing.T) {
		for path, want := range map[string]int{"/cards": 404, "/cards/": 404, "/cards/key": 404, "/cards/crl": 200, "/cards/ocsp/AA": 200} {
			if got := status(t, s.issuer+path); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
	})
	t.Run("own rule: a command issues a virtual card", func(t *testing.T) {
		token := signedInAs(t, s, newPerson(t), raManager).Token
		file := filepath.Join(t.TempDir(), "one.card")
		cmd := program(t, settings, "card", "issue", fiveRoles, "--virtual", file, "--series", "9", "--server", s.issuer)
		cmd.Env = append(cmd.Env, "LANYARD_TOKEN="+token)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		made, err := virtualcard.Read(text, func([]byte) error { return nil })
		if err != nil || made.Certificate().Subject.CommonName != fiveRoles || !strings.Contains(string(out), "passcode") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// vouched is what OCSP and the list say of a card to somebody outside.
func vouched(t *testing.T, s running, card *virtualcard.Card, authority *x509.Certificate) revocation.Status {
	t.Helper()
	checker, err := revocation.New(revocation.Config{Client: http.DefaultClient, Now: time.Now, DemandNonce: true})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(request(t, http.MethodGet, s.issuer+"/cards/crl", nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	der, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	status, err := checker.Check(t.Context(), card.Certificate(), authority)
	if err != nil {
		t.Error(err)
	}
	listed := false
	for _, e := range list.RevokedCertificateEntries {
		listed = listed || e.SerialNumber.Cmp(card.Certificate().SerialNumber) == 0
	}
	if listed != (status == revocation.Revoked) {
		return revocation.Unavailable // the list is a few seconds behind
	}
	return status
}

// noCards is a registry that answers with one error.
type noCards struct{ err error }

func (n noCards) CardStanding(context.Context, string, string) (rules.CardStanding, error) {
	return rules.CardStanding{}, n.err
}

func (n noCards) RevokedCards(context.Context, string, idp.Date) ([]rules.CardStanding, error) {
	return nil, n.err
}

func TestCardAuthorityRefusals(t *testing.T) {
	for rule, tt := range map[string]struct {
		change     map[string]string
		key, words string
	}{
		"own rule: an authority needs its key":                  {map[string]string{"cards.authority_file": authorityFile(t, nil)}, "cards", "belong together"},
		"own rule: certificates last no longer than cards may":  {map[string]string{"cards.life": "87600h"}, "cards.life", "out of bounds"},
		"own rule: where to ask is an address":                  {map[string]string{"cards.crl_url": "ftp://x"}, "cards.crl_url", "no http or https URL"},
		"own rule: an authority that nobody trusts issues none": {map[string]string{"cards.authority_file": authorityFile(t, nil), "cards.key_file": "/key"}, authorityKey, "is not trusted here"},
		"own rule: a file without a certificate is none":        {map[string]string{"cards.authority_file": written(t, "nothing"), "cards.key_file": "/key"}, authorityKey, "no certificate in it"},
	} {
		t.Run(rule, func(t *testing.T) {
			settings := aConfig(t)
			for key, value := range tt.change {
				settings[key] = value
			}
			found := false
			for _, r := range refusalsOf(t, settings) {
				found = found || r.key == tt.key && strings.Contains(r.Error(), tt.words)
			}
			if !found {
				t.Errorf("refused: %v", refusalsOf(t, settings))
			}
		})
	}
}

func TestOwnFirst(t *testing.T) {
	t.Run("own rule: nobody outside is asked about our own cards", func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := rootOf("Cards", key, aDay, 5)
		if err != nil {
			t.Fatal(err)
		}
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: oneRole}}
		for want, since := range map[revocation.Status]error{revocation.Unknown: rules.ErrNoCard, revocation.Unavailable: io.ErrUnexpectedEOF} {
			o := ownFirst{cardLedger{issuer: smartcard.IssuerID(issuer), cards: noCards{since}, now: time.Now}, nil}
			if got, _ := o.Check(t.Context(), leaf, issuer); got != want {
				t.Errorf("Check() = %v, want %v", got, want)
			}
		}
	})
}
