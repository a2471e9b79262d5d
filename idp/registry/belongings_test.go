package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

func TestCards(t *testing.T) {
	facts := CardFacts{Serial: "0ab", Series: 9, EndsOn: "2032-06-03"}
	t.Run("own rule: a card is one person's, of a series that may be used, with a certificate that has not ended", func(t *testing.T) {
		w := aWorld(t)
		manager, uid := w.holder(Manager, "MID"), w.nurse("MID")
		w.records.Policy.CardSeries = []directory.SeriesRule{{Series: 4, BlockedFrom: today}, {Series: 5, BlockedFrom: tomorrow}}
		for want, f := range map[idp.Refusal]CardFacts{
			ErrSeries:      {"AB", 4, "2031-01-01"},
			ErrCertificate: {"AB", 9, yesterday},
			ErrField:       {"no hex", 9, "2031-01-01"},
		} {
			w.not(t, manager, IssueCard{UID: uid, CardFacts: f}, want)
		}
		w.not(t, manager, IssueCard{UID: uid, CardFacts: CardFacts{"AB", 9, "2037-01-01"}}, ErrCertificate)
		if done := w.do(t, manager, IssueCard{UID: uid, CardFacts: CardFacts{"AC", 5, "2031-01-01"}}); len(done.Warnings) != 1 || done.Warnings[0].Code != WarnSeriesEnds {
			t.Errorf("warnings: %v", done.Warnings)
		}
		done := w.do(t, manager, IssueCard{UID: uid, CardFacts: facts})
		if c := w.person(uid).Cards[1]; done.ID != "AB" || c.Serial != "AB" || c.State != active || c.EndsOn != facts.EndsOn || !c.Registered {
			t.Errorf("%+v, card %+v", done, c)
		}
		if e := w.last(); e.Authenticator != "card:"+done.ID || e.Subject != uid {
			t.Errorf("journal: %+v", e)
		}
		w.not(t, manager, IssueCard{UID: w.nurse("MID"), CardFacts: CardFacts{"AB", 9, "2031-01-01"}}, idp.ErrTaken)
	})
	t.Run("own rule: a card that is revoked is never used again; one that is suspended or blocked may be", func(t *testing.T) {
		states := []directory.CardState{active, suspended, blocked, revoked}
		for _, tt := range []struct {
			change Change
			to     directory.CardState
			from   []directory.CardState
		}{
			{SuspendCard{"AB", "lost"}, suspended, []directory.CardState{active, blocked}},
			{ResumeCard{"AB", "found"}, active, []directory.CardState{suspended, blocked}},
			{RevokeCard{"AB", "stolen"}, revoked, []directory.CardState{active, suspended, blocked}},
		} {
			for _, from := range states {
				w := aWorld(t)
				manager := w.holder(Manager, "MID")
				uid := w.add(func(p *directory.Person) { p.Cards = []directory.Card{{Serial: "AB", Registered: true, State: from}} }, work("", "MID"))
				if !slices.Contains(tt.from, from) {
					w.not(t, manager, tt.change, ErrCardState)
					continue
				}
				w.do(t, manager, tt.change)
				if got := w.person(uid).Cards[0].State; got != tt.to || len(w.mails) != 1 {
					t.Errorf("%s of a card that is %s: %s, %d mails", tt.change.Kind(), from, got, len(w.mails))
				}
			}
		}
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		w.add(func(p *directory.Person) {
			p.Cards = []directory.Card{{Serial: "AB", Registered: true, State: suspended, EndsOn: yesterday}, {Serial: "AC"}}
		}, work("", "MID"))
		w.not(t, manager, ResumeCard{"AB", "found"}, ErrCertificate)
		w.not(t, manager, RevokeCard{"AC", "nobody knows it"}, ErrNoCard)
		w.not(t, manager, RevokeCard{"AB", ""}, ErrField)
	})
	t.Run("own rule: a card that takes the place of another ends it", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		uid := w.add(func(p *directory.Person) { p.Cards = []directory.Card{{Serial: "AC", Registered: true, State: active}} }, work("", "MID"))
		w.do(t, manager, ReplaceCard{Old: "AC", CardFacts: facts, Reason: "lost"})
		if c := w.person(uid).Cards; len(c) != 2 || c[0].State != revoked || c[1].State != active || !strings.Contains(w.last().Reason, "AC") {
			t.Errorf("cards: %+v, %q", c, w.last().Reason)
		}
		w.not(t, manager, ReplaceCard{Old: "AC", CardFacts: CardFacts{"AC", 9, "2031-01-01"}, Reason: "lost"}, ErrField)
	})
}

func TestAuthenticators(t *testing.T) {
	holds := func(p *directory.Person) {
		p.Authenticators = []directory.Authenticator{
			{ID: "k", Kind: authenticators.KeyKind, Handle: "h", Name: "Key", Level: 3, State: authenticators.Active},
			{ID: "c", Kind: authenticators.CodeKind, Handle: "c", Name: "Codes", Level: 2, State: authenticators.Suspended}}
	}
	t.Run("own rule: an authenticator is suspended, resumed and removed, and its person is told", func(t *testing.T) {
		w := aWorld(t)
		manager, uid := w.holder(Manager, "MID"), w.add(holds, work("", "MID"))
		w.do(t, manager, SuspendAuthenticator{uid, "k", "lost"})
		w.not(t, manager, SuspendAuthenticator{uid, "k", "lost"}, ErrCardState)
		w.do(t, manager, ResumeAuthenticator{uid, "k", "found"})
		w.do(t, manager, RemoveAuthenticator{uid, "k", "old"})
		w.not(t, manager, ResumeAuthenticator{uid, "k", "found"}, ErrNoAuthenticator)
		var texts []string
		for _, m := range w.mails {
			texts = append(texts, m.Text+" "+m.Args["name"])
		}
		if !slices.Equal(texts, []string{"mail.lost Key", "mail.back Key", "mail.removed Key"}) || w.last().Authenticator != "passkey:k" {
			t.Errorf("mails %v, journal %+v", texts, w.last())
		}
	})
	t.Run("own rule: a code for adding one is kept as its hash, and somebody has seen who gets it", func(t *testing.T) {
		w := aWorld(t)
		advanced, uid := w.holder(Advanced, "MID"), w.nurse("MID")
		w.not(t, advanced, InviteAuthenticator{uid, IdentityCheck{How: Vouched, Assurance: 3}}, ErrField)
		done := w.do(t, advanced, InviteAuthenticator{uid, passport})
		if len(w.codes) != 1 || w.codes[0].Hash != HashCode(strings.ToLower(strings.ReplaceAll(done.Secret, "-", " "))) ||
			w.codes[0].UID != uid || w.codes[0].By != advanced || !w.codes[0].Until.Equal(noon.Add(InviteLife)) || !done.Until.Equal(w.codes[0].Until) {
			t.Errorf("%+v, kept %+v", done, w.codes)
		}
		if strings.Contains(fmt.Sprint(w.codes, w.events), done.Secret) {
			t.Error("the code itself is kept")
		}
		if !strings.Contains(w.last().Reason, "in_person") {
			t.Errorf("journal: %+v", w.last())
		}
	})
	t.Run("own rule: tries are forgotten of what counts them", func(t *testing.T) {
		w := aWorld(t)
		admin, uid := w.holder(CardAdmin, "MID"), w.add(holds, work("", "MID"))
		w.not(t, admin, LiftLock{uid, authenticators.KeyKind, "x"}, ErrField)
		w.do(t, admin, LiftLock{uid, authenticators.CodeKind, "forgot"})
		if len(w.cleared) != 1 || w.cleared[0] != (idp.LimitKey{Account: uid, Authenticator: "totp"}) {
			t.Errorf("cleared %v", w.cleared)
		}
	})
	t.Run("own rule: one session of somebody is ended, or all", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		w.sessions = []idp.OwnSession{{Session: idp.Session{ID: "s1", Key: "k1", Subject: uid}}, {Session: idp.Session{ID: "s2", Key: "k2", Subject: uid}},
			{Session: idp.Session{ID: "s3", Key: "k3", Subject: agent}}}
		w.not(t, agent, EndSession{UID: uid, SID: "s3"}, ErrNoSession)
		w.do(t, agent, EndSession{UID: uid, SID: "s2"})
		if !slices.Equal(w.ended, []string{"k2"}) || w.last().Session != "s2" || w.last().Kind != idp.SessionEnded {
			t.Errorf("ended %v, %+v", w.ended, w.last())
		}
		w.do(t, agent, EndSessions{UID: uid})
		if !slices.Equal(w.ended, []string{"k2", "k1", "k2"}) || !w.person(uid).SignedOutAt.Equal(noon) {
			t.Errorf("ended %v", w.ended)
		}
	})
}

func TestPolicyAndClients(t *testing.T) {
	t.Run("own rule: a rule of a series or a program is one, with its day", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "HOM")
		w.do(t, manager, SetSeriesRule{Series: 9, BlockedFrom: "2031-01-01", LegacyGateway: true})
		w.do(t, manager, SetSeriesRule{Series: 4, BlockedFrom: "2031-01-01"})
		w.do(t, manager, SetSeriesRule{Series: 9, BlockedFrom: "2032-01-01"})
		if got := w.records.Policy.CardSeries; len(got) != 2 || got[0].Series != 4 || got[1].BlockedFrom != "2032-01-01" {
			t.Errorf("series: %+v", got)
		}
		w.do(t, manager, SetSeriesRule{Series: 9, Remove: true})
		w.do(t, manager, SetAgentRule{Product: "legacy", Except: "2.4.10.0", BlockedFrom: "2031-01-01"})
		w.not(t, manager, SetAgentRule{Product: "legacy", BlockedFrom: "2031-01-01"}, ErrField)
		if got := w.records.Policy; len(got.CardSeries) != 1 || len(got.Agents) != 1 || len(got.WarnDays) != 1 {
			t.Errorf("policy: %+v", got)
		}
	})
	client := func(t *testing.T, text string) Client {
		t.Helper()
		var c Client
		if err := c.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Run("own rule: an application gets a secret that is shown once, and what may stand in a document", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "HOM")
		c := client(t, `{"id": "app", "name": "App", "redirect_uris": ["https://app.example/cb"]}`)
		done := w.do(t, manager, AddClient{c})
		kept := w.records.Clients["app"]
		if !kept.IDP().CheckSecret(done.Secret) || kept.MinLevel != 1 || kept.IDTokenAlg != "RS256" || w.last().Client != "app" {
			t.Errorf("kept %+v", kept)
		}
		w.not(t, manager, AddClient{c}, idp.ErrTaken)
		if again := w.do(t, manager, ChangeClient{Client: c}); again.Secret != "" || !w.records.Clients["app"].IDP().CheckSecret(done.Secret) {
			t.Error("a change of something else changes the secret")
		}
		if again := w.do(t, manager, ChangeClient{Client: c, NewSecret: true}); again.Secret == "" || w.records.Clients["app"].IDP().CheckSecret(done.Secret) {
			t.Error("the old secret works")
		}
		for _, text := range []string{
			`{"id": "x", "name": "X", "redirect_uris": ["http://app.example/cb"]}`, `{"id": "x", "name": "X", "redirect_uris": []}`,
			`{"id": "x", "name": "X", "redirect_uris": ["https://*.example/"]}`, `{"id": "x", "name": "X", "min_level": 9, "redirect_uris": ["https://app.example/"]}`,
			`{"id": "x", "name": "X", "auth_method": "private_key_jwt", "redirect_uris": ["https://app.example/"]}`,
			`{"id": "x", "name": "X", "redirect_uris": ["https://app.example/"], "jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}`,
		} {
			w.not(t, manager, AddClient{client(t, text)}, ErrField)
		}
		w.not(t, manager, AddClient{client(t, `{"id": "lanyard-account", "name": "X", "redirect_uris": ["https://app.example/"]}`)}, ErrOwnClient)
		w.not(t, manager, AddClient{client(t, `{"id": "x", "name": "X", "redirect_uris": ["https://app.example/"], "exchange_from": ["nobody"]}`)}, ErrNoClient)
	})
	t.Run("never again: an application that was stopped can do nothing, and nobody gets its name", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "HOM")
		c := client(t, `{"id": "app", "name": "App", "redirect_uris": ["https://app.example/cb"], "exchange_from": ["app"]}`)
		done := w.do(t, manager, AddClient{c})
		w.do(t, manager, RemoveClient{"app", "gone"})
		kept := w.records.Clients["app"].IDP()
		if kept.CheckSecret(done.Secret) || len(kept.RedirectURIs)+len(kept.Grants)+len(kept.Scopes)+len(kept.ExchangeFrom) > 0 {
			t.Errorf("kept %+v", kept)
		}
		w.not(t, manager, AddClient{c}, idp.ErrTaken)
		w.not(t, manager, ChangeClient{Client: c}, ErrNoClient)
		w.not(t, manager, RemoveClient{"app", "gone"}, ErrNoClient)
	})
}

func TestWords(t *testing.T) {
	t.Run("own rule: what is given has the form that it must have, and the fields that have not are named", func(t *testing.T) {
		long := strings.Repeat("a", 501)
		name := PersonName{Given: "A", Family: "B"}
		for _, tt := range []struct {
			change         Change
			field, problem string
		}{
			{RestrictPerson{"12", "x"}, "uid", Form},
			{RestrictPerson{"", "x"}, "uid", Missing},
			{RestrictPerson{"000000000001", ""}, "reason", Missing},
			{RestrictPerson{"000000000001", long}, "reason", TooLong},
			{RestrictPerson{"000000000001", "a\nb"}, "reason", Unseen},
			{RestrictPerson{"000000000001", "a\u202eb"}, "reason", Unseen},
			{RestrictPerson{"000000000001", "a\xff"}, "reason", Unseen},
			{AddPerson{Profile: idp.Unverified, Details: Details{Name: PersonName{Family: "B"}}}, "name.given", Missing},
			{AddPerson{Profile: idp.Restricted, Details: Details{Name: name}}, "profile", Unknown},
			{AddPerson{Profile: idp.Unverified, Details: Details{Name: name, Email: "a b@example.org"}}, "email", Form},
			{AddPerson{Profile: idp.Unverified, Details: Details{Name: name, Mobile: "call me"}}, "mobile", Form},
			{AddPerson{Profile: idp.Unverified, Details: Details{Name: name, NINumber: "QQ"}}, "ni_number", Form},
			{AddPerson{Profile: idp.Unverified, Details: Details{Name: name, Professional: Professional{GMC: "<b>"}}}, "professional.gmc_id", Form},
			{VerifyPerson{UID: "000000000001", Check: IdentityCheck{How: InPerson, Assurance: 4}}, "check.assurance", Range},
			{VerifyPerson{UID: "000000000001", Check: IdentityCheck{How: InPerson, Documents: []string{"Passport No 1"}}}, "check.documents.0", Form},
			{MergePeople{"000000000001", "000000000001", "x"}, "into", Twice},
			{AssignPosition{UIDs: nil, Work: ward("MID")}, "uids", Missing},
			{AssignPosition{UIDs: []string{"000000000001", "000000000001"}, Work: ward("MID")}, "uids.1", Twice},
			{AssignPosition{UIDs: make([]string, maxPeople+1), Work: ward("MID")}, "uids", Range},
			{AssignPosition{UIDs: []string{"000000000001"}, Work: Work{Organisation: "MID", RoleCode: "nurse"}}, "role_code", Form},
			{AssignPosition{UIDs: []string{"000000000001"}, Work: Work{Organisation: "mid", RoleCode: "R8000"}}, "organisation", Form},
			{AssignPosition{UIDs: []string{"000000000001"}, Work: Work{Organisation: "MID", RoleCode: "R8000", From: "2030-02-30"}}, "from", Form},
			{AssignPosition{UIDs: []string{"000000000001"}, Work: Work{Organisation: "MID", RoleCode: "R8000", Activities: []Coded{{Code: "B1"}, {Code: "B1"}}}}, "activities.1.code", Twice},
			{AddOrganisation{Code: "M ID", Name: "x"}, "code", Form},
			{CloseOrganisation{Code: "MID", Reason: "x"}, "on", Missing},
			{MovePositions{From: "MID", To: "MID", Reason: "x"}, "to", Twice},
			{IssueCard{UID: "000000000001", CardFacts: CardFacts{"AB", 100, today}}, "series", Range},
			{SetAgentRule{Product: "Agent!", Below: "1"}, "product", Form},
		} {
			w := aWorld(t)
			_, err := w.Do(t.Context(), w.actor(w.holder(Manager, "HOM")), tt.change)
			var refused *Refused
			if !errors.As(err, &refused) || refused.Refusal != ErrField || !slices.Contains(refused.Fields, Field{tt.field, tt.problem}) {
				t.Errorf("%s %+v: %v, want %s %s", tt.change.Kind(), tt.change, err, tt.field, tt.problem)
			}
		}
	})
	t.Run("own rule: a name as people have them, and the number of any position, pass", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		for _, name := range []PersonName{{Given: "Siân", Family: "O’Neill-Jones"}, {Title: "Dr", Given: "李", Family: "王", Display: "Dr 王 李"}} {
			w.do(t, manager, AddPerson{Details: Details{Name: name, Email: w.number() + "@example.org"}, Profile: idp.Unverified})
		}
	})
}
