package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// noon is a day on which the demo directory is looked at.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func aDirectory(t *testing.T) directory.Document {
	t.Helper()
	d, err := Directory()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDirectoryHasEveryKindOfPerson(t *testing.T) {
	d := aDirectory(t)
	current := func(n int) func(directory.Person) bool {
		return func(p directory.Person) bool { return len(p.IDP(d.ByCode()).Current(noon)) == n }
	}
	card := func(has func(directory.Card) bool) func(directory.Person) bool {
		return func(p directory.Person) bool { return len(p.Cards) == 1 && has(p.Cards[0]) }
	}
	state := func(s directory.CardState) func(directory.Person) bool {
		return card(func(c directory.Card) bool { return c.State == s })
	}
	profile := func(s idp.Profile) func(directory.Person) bool {
		return func(p directory.Person) bool { return p.Profile == s }
	}
	for rule, is := range map[string]func(directory.Person) bool{
		"own rule: one position":                  current(1),
		"own rule: five positions":                current(5),
		"own rule: forty positions":               current(40),
		"own rule: no position":                   current(0),
		"own rule: no card":                       func(p directory.Person) bool { return len(p.Cards) == 0 },
		"own rule: an expired card":               card(func(c directory.Card) bool { return c.Certificate == "expired" }),
		"own rule: a card that ends in 12 days":   card(func(c directory.Card) bool { return c.Certificate == "expires_in: 12" }),
		"own rule: a card that is not registered": card(func(c directory.Card) bool { return !c.Registered }),
		"own rule: a card of a blocked series":    card(func(c directory.Card) bool { return blocked(d, c.Series) }),
		"own rule: a blocked card":                state("blocked"),
		"own rule: a revoked card":                state("revoked"),
		"own rule: an unverified profile":         profile(idp.Unverified),
		"own rule: a restricted profile":          profile(idp.Restricted),
		"own rule: a closed profile":              profile(idp.Closed),
		"own rule: a registration authority manager": func(p directory.Person) bool {
			return len(p.Positions) == 1 && strings.HasSuffix(p.Positions[0].RoleCode, ":R5080")
		},
	} {
		t.Run(rule, func(t *testing.T) {
			for _, p := range d.People {
				if is(p) {
					return
				}
			}
			t.Error("there is none")
		})
	}
}

func blocked(d directory.Document, series int) bool {
	for _, rule := range d.Policy.CardSeries {
		if rule.Series == series && rule.BlockedFrom != "" && rule.BlockedFrom <= idp.DateOf(noon) {
			return true
		}
	}
	return false
}

func TestDirectoryHasEveryClient(t *testing.T) {
	clients := map[string]idp.Client{}
	for _, c := range aDirectory(t).Clients {
		clients[c.ID] = c.IDP()
	}
	for rule, ok := range map[string]bool{
		"own rule: demo-rp has a secret":                clients["demo-rp"].CheckSecret("demo-secret"),
		"own rule: demo-rp returns to the demo":         clients["demo-rp"].Redirect("http://localhost:8081/callback") == nil,
		"own rule: demo-public has none":                clients["demo-public"].AuthMethod == idp.NoAuth,
		"own rule: demo-public must use PKCE":           clients["demo-public"].RequirePKCE,
		"own rule: demo-public returns to any port":     clients["demo-public"].Redirect("http://127.0.0.1:50123/callback") == nil,
		"own rule: demo-jwt has a key":                  clients["demo-jwt"].AuthMethod == idp.PrivateKeyJWT,
		"own rule: demo-aal3 takes nothing below":       clients["demo-aal3"].MinLevel == 3,
		"own rule: demo-finder accepts unverified ones": clients["demo-finder"].AcceptsUnverified,
	} {
		t.Run(rule, func(t *testing.T) {
			if !ok {
				t.Error("it is not so")
			}
		})
	}
}

func TestDirectoryIsMadeUp(t *testing.T) {
	for _, p := range aDirectory(t).People {
		if !strings.HasSuffix(p.Email, ".example") || p.Mobile != "" && !strings.HasPrefix(p.Mobile, "+447700900") {
			t.Errorf("%s has an address that somebody may have: %s, %s", p.UID, p.Email, p.Mobile)
		}
		for _, c := range p.Cards {
			if c.Passcode != "123456" {
				t.Errorf("%s has a card whose passcode nobody can guess", p.UID)
			}
		}
	}
}

func TestFirstPerson(t *testing.T) {
	p := aDirectory(t).People[0]
	if p.UID != "555000000101" || p.Name.Display != "Dr Asha Smith" || len(p.Positions) != 1 || p.Positions[0].ID != "555000000201" {
		t.Errorf("the first person is %+v", p)
	}
}
