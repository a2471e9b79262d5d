package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/cmd/lanyard/demo"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// parted is a development service whose parts a test can reach.
type parted struct {
	running
	events func() []idp.Event
}

// startParts starts one with the people and clients of these tests, which
// change may alter, and signs everybody in as uid; "" lets them choose. Its
// card authority is asked at authority; "" is where it is.
func startParts(t *testing.T, authority, uid string, change func(*directory.Document)) parted {
	t.Helper()
	path := seed(t)
	if change != nil {
		d := aDirectory(t)
		change(&d)
		if err := saveDocument(path, d); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	at := "http://" + server.Listener.Addr().String()
	if authority == "" {
		authority = at
	}
	heard := dev.NewLog()
	s, err := wireDev(t.Context(), devOptions{issuer: at, layout: "standard", seed: path, autoLogin: uid}, authority, "http://localhost:1", newLog(log, heard), heard)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s.pages.Routes()
	server.Start()
	t.Cleanup(func() {
		server.Close()
		s.close()
		_ = log.Close()
	})
	return parted{running{issuer: at, log: log.Name()}, s.people.Events}
}

// logged returns the codes of the messages that the log says were shown.
func (s running) logged(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for line := range strings.Lines(string(b)) {
		var entry struct{ Msg, Code string }
		if err := json.Unmarshal([]byte(line), &entry); err == nil && entry.Msg == "page refused" {
			codes = append(codes, entry.Code)
		}
	}
	return codes
}

// Cards that the directory for these tests has beside the demo's.
const (
	revokedCard = "0000199" // active in the registry, revoked by its authority
	foreignCard = "FF01"    // of another authority
)

// cardStates are the cards that are refused, by their serial number: the code
// that is shown, the words with it, and what the journal says.
var cardStates = []struct{ rule, serial, code, words, reason string }{
	{"X2: a certificate that has ended", card(expired), "CRT-01", "Your card's certificate ended on", "the card's certificate has ended"},
	{"smartcard: a card that is blocked", card("555000000108"), "PAS-03", "Your card is locked", "the card is blocked"},
	{"smartcard: a card that is revoked", card("555000000109"), "CRT-03", "This card has been cancelled", "the card is revoked"},
	{"smartcard: a card of a blocked series", card("555000000110"), "CRD-07", "Cards of this type stopped working on 31 March 2026", "cards of this series are no longer taken"},
	{"X6: a card that is not registered", card(unknown), "CRT-04", "This card is not linked to a profile", "the card is not registered"},
	{"smartcard: a card that is suspended", card("555000000112"), "CRD-06", "This card is suspended", "the card is suspended"},
	{"X7: a certificate that its authority has revoked", revokedCard, "CRT-03", "This card has been cancelled", "the card is revoked"},
	{"X1: a card of another authority", foreignCard, "CRD-03", "This type of card can no longer be used", "the card's certificate is not of a trusted authority"},
}

func TestCardStates(t *testing.T) {
	s := startParts(t, "", "", func(d *directory.Document) {
		d.People[0].Cards = append(d.People[0].Cards, directory.Card{Serial: revokedCard, Series: 9, State: "active",
			Registered: true, Certificate: "revoked", Passcode: passcode, TriesLeft: 3})
	})
	for _, tt := range cardStates {
		t.Run(tt.rule, func(t *testing.T) {
			before := len(s.events())
			p := newPerson(t)
			p.open(s.authorizeURL("basic", nil))
			p.wantListed(tt.serial, true)
			p.link("card=" + tt.serial)
			p.wantPage(http.StatusForbidden, tt.words)
			if page := p.html(); p.message() != tt.code || strings.Contains(page, `name="passcode"`) {
				t.Errorf("want %s before a passcode is asked, got %s", tt.code, page)
			}
			// Nor does one that nobody asked for help.
			p.post("/login/smartcard/virtual", url.Values{"id": {p.at.Query().Get("id")}, "card": {tt.serial}, "passcode": {passcode}})
			p.wantPage(http.StatusForbidden, tt.words)

			for _, e := range s.events()[before:] {
				if e.Kind != idp.SignInNo || !strings.HasPrefix(strings.TrimPrefix(e.Reason, "find card: "), tt.reason) || e.Client != "basic" || e.Request == "" {
					t.Errorf("the journal says %+v", e)
				}
			}
			if n := len(s.events()) - before; n != 2 {
				t.Errorf("%d rows in the journal, want 2", n)
			}
			if codes := s.logged(t); len(codes) < 2 || codes[len(codes)-1] != tt.code || codes[len(codes)-2] != tt.code {
				t.Errorf("the log says %v", codes)
			}
			p.open(s.authorizeURL("basic", url.Values{"prompt": {"none"}}))
			p.wantError("login_required")
		})
	}
	t.Run("smartcard: every card of the demo directory that is refused is among these", func(t *testing.T) {
		known := map[string]bool{}
		for _, tt := range cardStates {
			known[tt.serial] = true
		}
		d, err := demo.Directory()
		if err != nil {
			t.Fatal(err)
		}
		for _, person := range d.People {
			for _, c := range person.Cards {
				if person.Profile != idp.Verified {
					continue // refused for the person's sake, not the card's
				}
				p := newPerson(t)
				p.open(s.authorizeURL("basic", nil))
				p.wantListed(c.Serial, known[c.Serial])
				if p.link("card=" + c.Serial); !known[c.Serial] {
					p.wantPage(http.StatusOK, "Enter the passcode")
				}
			}
		}
	})
	t.Run("X2: a certificate that ends in 12 days signs in", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		if p.wantListed(card("555000000107"), false); !strings.Contains(p.text(), "ends in 12 days") {
			t.Error("the drawer does not say so")
		}
		p.signIn("555000000107")
		p.send("/login/notice", nil)
		p.wantCode()
	})
}

// wantListed checks that a card is listed, among those that are refused or not.
func (p *person) wantListed(serial string, refused bool) {
	p.t.Helper()
	for a := range p.all("a") {
		if strings.HasSuffix(attr(a, "href"), "card="+serial) {
			if got := strings.Contains(attr(a, "class"), "refused"); got != refused {
				p.t.Errorf("card %s: listed among the refused: %v", serial, got)
			}
			return
		}
	}
	p.t.Errorf("card %s is not listed", serial)
}

// post sends a form that no page offered.
func (p *person) post(path string, form url.Values) {
	p.t.Helper()
	p.hops = nil
	p.follow(http.MethodPost, path, form)
}

func TestUncheckedCard(t *testing.T) {
	t.Run("X8: where nobody can say whether a card is revoked, people read that it cannot be checked", func(t *testing.T) {
		const nowhere = "http://localhost:1"
		s := startParts(t, nowhere, "", nil)
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.link("card=" + card(oneRole))
		p.wantPage(http.StatusForbidden, "We cannot check your card right now")
		if page := p.html(); p.message() != "CRT-05" || strings.Contains(page, `name="passcode"`) {
			t.Errorf("want CRT-05 before a passcode is asked, got %s", page)
		}
		unchecked := func(e idp.Event) bool {
			return e.Kind == idp.SignInNo && strings.Contains(e.Reason, "OCSP of "+nowhere+dev.AuthorityPath) && strings.Contains(e.Reason, "revocation list of")
		}
		if events := afterStart(s.events()); len(events) != 1 || !slices.ContainsFunc(events, unchecked) {
			t.Errorf("the journal says %+v", events)
		}
	})
}

func TestAutomaticCards(t *testing.T) {
	t.Run("auto-login: a card that is refused is the client's error, and stands in the journal", func(t *testing.T) {
		s := startParts(t, "", expired, nil)
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.wantError("access_denied")
		if e := afterStart(s.events()); len(e) != 1 || e[0].Kind != idp.SignInNo || !strings.Contains(e[0].Reason, "certificate has ended") {
			t.Errorf("the journal says %+v", e)
		}
	})
}

func TestCards(t *testing.T) {
	s := start(t, nil)
	t.Run("smartcard: an expired certificate says on which day it ended", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.link("card=" + card(expired))
		p.wantPage(http.StatusForbidden, "Your card's certificate ended on "+time.Now().Add(-24*time.Hour).UTC().Format("2 January 2006"))
	})
	t.Run("smartcard: a wrong passcode counts, a right one resets, the third locks", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.link("card=" + card(fiveRoles))
		try := func(passcode string) {
			p.send("/login/smartcard/virtual", url.Values{"passcode": {passcode}})
		}
		try("000000")
		p.wantPage(http.StatusBadRequest, "2 tries")
		try("")
		p.wantPage(http.StatusBadRequest, "Enter the passcode of this card")
		try("12345678")
		p.wantPage(http.StatusBadRequest, "One try left")
		try(passcode)
		p.wantCode()

		p = newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.link("card=" + card(fiveRoles))
		for range 3 {
			try("999999")
		}
		p.wantPage(http.StatusForbidden, "locked")
		p.link("card=" + card(fiveRoles))
		p.wantPage(http.StatusForbidden, "locked")
		p.link("card=" + card(oneRole)) // another card is not
		try(passcode)
		p.wantCode()
	})
}

func TestNotice(t *testing.T) {
	s := start(t, nil)
	t.Run("smartcard: who has a card that ends soon is told once, and goes on", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", nil))
		p.signIn(endsSoon)
		p.wantPage(http.StatusOK, "Your card's certificate ends in 12 days")
		p.open(p.at.String()) // looking away and back changes nothing
		p.wantPage(http.StatusOK, "Your card's certificate ends in 12 days")
		p.send("/login/notice", nil)
		p.wantCode()
		again := newPerson(t)
		again.open(s.authorizeURL("basic", nil))
		again.signIn(endsSoon)
		again.wantCode()
	})
	t.Run("auto-login: nobody is there to be told", func(t *testing.T) {
		s := start(t, func(o *devOptions) { o.autoLogin = endsSoon })
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.wantCode()
	})
}

// afterStart leaves out what a development service begins with: accounts at the
// organisation that it links.
func afterStart(events []idp.Event) []idp.Event {
	return slices.DeleteFunc(events, func(e idp.Event) bool { return e.Kind == idp.AuthenticatorAdded })
}
