package conformance

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// People checks one registry of people. open returns one that holds doc.
func People(t *testing.T, open func(t *testing.T, doc directory.Document) idp.People) {
	people := open(t, read(t, surgery))
	ada := func(t *testing.T) idp.Person {
		t.Helper()
		p, err := people.Person(t.Context(), "555000000101")
		if now, err := people.PersonNow(t.Context(), "555000000101"); err != nil || !reflect.DeepEqual(now, p) {
			t.Errorf("PersonNow = %+v, %v; want %+v", now, err, p)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Run("own rule: a person is as the directory says", func(t *testing.T) {
		org := idp.Organisation{Code: "5E1", Name: "Millbrook Trust"}
		want := idp.Person{
			UID:               "555000000101",
			Name:              idp.Name{Title: "Ms", Given: "Ada", Middle: "Grace May", Family: "Cole", Display: "Ada Cole"},
			Email:             "ada.cole@millbrook.example",
			IdentityAssurance: 3,
			Profile:           idp.Verified,
			Professional:      map[string]string{"nmc_id": "98A7654E"},
			Positions: []idp.Position{{
				ID: "000000000201", OrgPersonID: "000000000301", Organisation: org,
				RoleCode: "S8000:G8000:R8001", RoleName: `"A":"B":"Nurse"`,
				Activities:  []idp.Coded{{Code: "B0360", Name: "View"}},
				AreasOfWork: []idp.Coded{{Code: "P1", Name: "Area"}},
				Workgroups:  []idp.Coded{{Code: "000000000401", Name: "Ward"}},
				From:        "2024-01-01", To: "2034-01-01",
			}},
			Memberships: []idp.Membership{{OrgPersonID: "000000000301", Organisation: org, GNC: "G1"}},
			Holds:       map[string]bool{"card:0101": true, "card:0ABC": false, "passkey:k1": true, "totp:c1": false},
		}
		if got := ada(t); !reflect.DeepEqual(got, want) {
			t.Errorf("Person() = %+v, want %+v", got, want)
		}
	})
	t.Run("own rule: identifiers are text, leading zeros and all", func(t *testing.T) {
		p, err := people.Person(t.Context(), "000000000102")
		if err != nil || p.UID != "000000000102" || p.Profile != idp.Closed {
			t.Errorf("Person() = %+v, %v", p, err)
		}
		if _, err := people.Person(t.Context(), "102"); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("Person(102): %v, want %v", err, idp.ErrNotFound)
		}
	})
	t.Run("own rule: nobody unknown is found", func(t *testing.T) {
		for _, uid := range []string{"", "555000000999", "555000000101 "} {
			if p, err := people.Person(t.Context(), uid); !errors.Is(err, idp.ErrNotFound) || p.UID != "" {
				t.Errorf("Person(%q) = %q, %v, want %v", uid, p.UID, err, idp.ErrNotFound)
			}
		}
	})
	t.Run("own rule: who gets a person cannot change the registry", func(t *testing.T) {
		p := ada(t)
		p.Professional["nmc_id"] = "x"
		p.Holds["card:0ABC"] = true
		p.Positions[0].ID, p.Positions[0].Activities[0].Code, p.Memberships[0].GNC = "x", "x", "x"
		if q := ada(t); q.Holds["card:0ABC"] || q.Professional["nmc_id"] == "x" || q.Positions[0].ID == "x" ||
			q.Positions[0].Activities[0].Code == "x" || q.Memberships[0].GNC == "x" {
			t.Errorf("the registry was changed: %+v", q)
		}
	})
}

// Clients checks one registry of clients. open returns one that holds doc.
func Clients(t *testing.T, open func(t *testing.T, doc directory.Document) idp.Clients) {
	clients := open(t, read(t, surgery))
	t.Run("own rule: a client is as the directory says, defaults included", func(t *testing.T) {
		got, err := clients.Client(t.Context(), "ward")
		if err != nil {
			t.Fatal(err)
		}
		if len(got.JWKS) == 0 {
			got.JWKS = nil
		}
		want := read(t, surgery).Clients[0].IDP()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Client() = %+v, want %+v", got, want)
		}
	})
	t.Run("own rule: a secret is kept as its hash", func(t *testing.T) {
		c, err := clients.Client(t.Context(), "ward")
		if err != nil || !c.CheckSecret("s") || c.CheckSecret("") || c.SecretHash == "s" {
			t.Errorf("Client() = %+v, %v", c, err)
		}
		public, err := clients.Client(t.Context(), "0001")
		if err != nil || public.CheckSecret("") {
			t.Errorf("Client() = %+v, %v: a public client has no secret", public, err)
		}
	})
	t.Run("own rule: an unregistered client is not found", func(t *testing.T) {
		for _, id := range []string{"", "1", "WARD", "ward "} {
			if _, err := clients.Client(t.Context(), id); !errors.Is(err, idp.ErrClientUnknown) {
				t.Errorf("Client(%q): %v, want %v", id, err, idp.ErrClientUnknown)
			}
		}
	})
	t.Run("own rule: who gets a client cannot change the registry", func(t *testing.T) {
		c, err := clients.Client(t.Context(), "ward")
		if err != nil {
			t.Fatal(err)
		}
		c.RedirectURIs[0], c.Scopes[0] = "x", "x"
		if c, err = clients.Client(t.Context(), "ward"); err != nil || c.RedirectURIs[0] == "x" || c.Scopes[0] == "x" {
			t.Errorf("Client() = %+v, %v", c, err)
		}
	})
}

// LastRoles checks one memory of positions. open returns one that holds doc
// and remembers nothing.
func LastRoles(t *testing.T, open func(t *testing.T, doc directory.Document) idp.LastRoles) {
	const uid = "555000000101"
	last := func(t *testing.T, roles idp.LastRoles, uid, client, want string) {
		t.Helper()
		if got, err := roles.LastRole(t.Context(), uid, client); err != nil || got != want {
			t.Errorf("LastRole(%s, %s) = %q, %v, want %q", uid, client, got, err, want)
		}
	}
	t.Run("own rule: the last position is kept per person and client", func(t *testing.T) {
		roles := open(t, read(t, surgery))
		last(t, roles, uid, "ward", "")
		for _, position := range []string{"000000000202", "000000000201"} {
			if err := roles.SaveLastRole(t.Context(), uid, "ward", position); err != nil {
				t.Fatal(err)
			}
		}
		last(t, roles, uid, "ward", "000000000201")
		last(t, roles, uid, "0001", "")
		last(t, roles, "000000000102", "ward", "")
	})
	t.Run("own rule: many who save at once leave one of theirs", func(t *testing.T) {
		roles := open(t, read(t, surgery))
		won := atOnce(func(int) bool { return roles.SaveLastRole(t.Context(), uid, "ward", "000000000201") == nil })
		if won != racers {
			t.Errorf("%d could save, want %d", won, racers)
		}
		last(t, roles, uid, "ward", "000000000201")
	})
}

// Cards checks one registry of cards. open returns one that holds doc, whose
// cards are of issuer.
func Cards(t *testing.T, open func(t *testing.T, doc directory.Document, issuer string) smartcard.Cards) {
	const issuer = "A1B2"
	cards := open(t, read(t, surgery), issuer)
	for _, tt := range []struct {
		rule           string
		issuer, serial string
		want           smartcard.Card
		err            error
	}{
		{"own rule: a card is found by its certificate", issuer, "0101", smartcard.Card{Serial: "0101", Series: 9, State: smartcard.Active, Holder: "555000000101"}, nil},
		{"own rule: its state and series are told", issuer, "0ABC", smartcard.Card{Serial: "0ABC", Series: 5, State: smartcard.Blocked, Holder: "555000000101"}, nil},
		{"own rule: an unregistered card is one that no one knows", issuer, "0102", smartcard.Card{}, smartcard.ErrNotRegistered},
		{"own rule: an unknown serial number is no card", issuer, "0103", smartcard.Card{}, smartcard.ErrNotRegistered},
		{"own rule: the same serial number of another authority is no card", "A1B3", "0101", smartcard.Card{}, smartcard.ErrNotRegistered},
		{"own rule: a card without a serial number is no card", issuer, "", smartcard.Card{}, smartcard.ErrNotRegistered},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := cards.CardByCertificate(t.Context(), tt.issuer, tt.serial)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("CardByCertificate() = %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// Rules checks one registry of what is no longer taken. open returns one that
// holds doc.
func Rules(t *testing.T, open func(t *testing.T, doc directory.Document) smartcard.Rules) {
	rules := open(t, read(t, `
policy:
  card_series:
    - {series: 4, blocked_from: 2026-03-28}
    - {series: 5, blocked_from: 2026-03-29}
    - {series: 6, blocked_from: 2026-03-30}
    - {series: 7, blocked_from: 2026-10-25}
    - {series: 8, blocked_from: 2026-10-26}
    - {series: 10, legacy_gateway: false}
    - {series: 11, blocked_from: 2027-01-01}
    - {series: 11, blocked_from: 2026-01-01}
  agents:
    - {product: old-agent, except: "2.4.10.0", blocked_from: 2026-03-31}
    - {product: an-agent, below: "0.1.0", blocked_from: 2026-01-01}
    - {product: an-agent, below: "0.3.0", blocked_from: 2026-06-01}
    - {product: an-agent, below: "9.0.0"}
`))
	t.Run("directory: the rules about an agent are those of its name that have a day, in their order", func(t *testing.T) {
		for product, want := range map[string][]smartcard.AgentRule{
			"old-agent": {{Except: "2.4.10.0", From: time.Date(2026, 3, 30, 23, 0, 0, 0, time.UTC)}},
			"an-agent": {{Below: "0.1.0", From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
				{Below: "0.3.0", From: time.Date(2026, 5, 31, 23, 0, 0, 0, time.UTC)}},
			"another": nil,
		} {
			same := func(a, b smartcard.AgentRule) bool {
				return a.Except == b.Except && a.Below == b.Below && a.From.Equal(b.From)
			}
			if got, err := rules.AgentRules(t.Context(), product); err != nil || !slices.EqualFunc(got, want, same) {
				t.Errorf("AgentRules(%q) = %+v, %v; want %+v", product, got, err, want)
			}
		}
	})
	t.Run("directory: a series is taken at the gateway of the old service unless a rule says not", func(t *testing.T) {
		gate, ok := rules.(smartcard.GatewayRules)
		if !ok {
			t.Fatal("it has no such rules")
		}
		for series, want := range map[int]bool{9: true, 4: true, 10: false} {
			if got, err := gate.AtGateway(t.Context(), series); err != nil || got != want {
				t.Errorf("AtGateway(%d) = %v, %v; want %v", series, got, err, want)
			}
		}
	})
	for _, tt := range []struct {
		rule   string
		series int
		want   time.Time // zero: never
	}{
		{"directory: a series ends at midnight in London, in winter", 4, time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)},
		{"directory: on the day on which summer time begins, it has not begun at midnight", 5, time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)},
		{"directory: in summer, London's midnight is the hour before", 6, time.Date(2026, 3, 29, 23, 0, 0, 0, time.UTC)},
		{"directory: on the day on which it ends, it has not ended at midnight", 7, time.Date(2026, 10, 24, 23, 0, 0, 0, time.UTC)},
		{"directory: in winter again", 8, time.Date(2026, 10, 26, 0, 0, 0, 0, time.UTC)},
		{"directory: a series with a rule and no day is not blocked", 10, time.Time{}},
		{"directory: of two days the earlier counts", 11, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"directory: a series without a rule is not blocked", 9, time.Time{}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			from, ok, err := rules.BlockedFrom(t.Context(), tt.series)
			if err != nil || ok == tt.want.IsZero() || !from.Equal(tt.want) {
				t.Fatalf("BlockedFrom() = %v, %v, %v; want %v", from, ok, err, tt.want)
			}
			if ok && (from.Hour() != 0 || from.Minute() != 0) {
				t.Errorf("it is told as %v, not as a day's beginning", from)
			}
		})
	}
}

// Notices checks one implementation. open returns a store of a directory.
func Notices(t *testing.T, open func(t *testing.T, d directory.Document) idp.Notices) {
	t.Run("smartcard: when somebody was told is kept, for each by themself", func(t *testing.T) {
		n := open(t, read(t, surgery))
		at := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
		if err := n.SaveNotice(t.Context(), "555000000101", at); err != nil {
			t.Fatal(err)
		}
		for uid, want := range map[string]time.Time{"555000000101": at, "000000000102": {}} {
			if got, err := n.LastNotice(t.Context(), uid); err != nil || !got.Equal(want) {
				t.Errorf("LastNotice(%s) = %v, %v; want %v", uid, got, err, want)
			}
		}
		if days, err := n.WarnDays(t.Context()); err != nil || len(days) == 0 {
			t.Errorf("WarnDays = %v, %v; want those of the directory", days, err)
		}
	})
}
