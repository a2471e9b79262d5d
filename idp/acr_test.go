package idp

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lanyard-id/lanyard/authenticators"
)

var everyWay = []struct {
	Name   string
	Method authenticators.Method
	Level  authenticators.Level
}{
	{"smartcard", authenticators.Smartcard, authenticators.AAL3},
	{"legacy", authenticators.LegacySmartcard, authenticators.AAL3},
	{"fido2", authenticators.FIDO2, authenticators.AAL3},
	{"apple", authenticators.Apple, authenticators.AAL3},
	{"passkey", authenticators.Passkey, authenticators.AAL2},
	{"totp", authenticators.TOTP, authenticators.AAL2},
	{"federated", authenticators.Federated, authenticators.AAL2},
}

func TestMetBy(t *testing.T) {
	t.Run("assurance: the table of assurance", func(t *testing.T) {
		for acr, want := range map[ACR][]string{
			AAL3Any:       {"smartcard", "legacy", "fido2", "apple"},
			AAL2OrAAL3Any: {"smartcard", "legacy", "fido2", "apple", "passkey", "totp", "federated"},
			AAL2Any:       {"smartcard", "legacy", "fido2", "apple", "passkey", "totp", "federated"},
			AAL3Smartcard: {"smartcard", "legacy"},
			AAL3CIS2Card:  {"smartcard"},
			AAL3N3Card:    {"legacy"},
			AAL3FIDO2:     {"fido2"},
			AAL3IOS:       {"apple"},
			AAL2TOTP:      {"totp"},
			AAL2NHSMail:   {"federated"},
			"AAL4_ANY":    nil,
			"":            nil,
		} {
			var got []string
			for _, w := range everyWay {
				if acr.MetBy(w.Method, w.Level) {
					got = append(got, w.Name)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s is met by %v, want %v", acr, got, want)
			}
		}
	})
	t.Run("own rule: a method is worth no more than its level", func(t *testing.T) {
		for _, c := range classes {
			for _, w := range everyWay {
				if c.acr.MetBy(w.Method, c.level-1) {
					t.Errorf("%s is met by %s at AAL%d", c.acr, w.Name, c.level-1)
				}
			}
		}
	})
}

func TestWants(t *testing.T) {
	for _, tt := range []struct {
		rule      string
		client    Client
		requested []ACR
		want      []ACR
		err       error
	}{
		{"assurance: none requested is the client's default", Client{ACRDefault: AAL3Any}, nil, []ACR{AAL3Any}, nil},
		{"assurance: requested in the client's order", Client{}, []ACR{AAL2Any, AAL3Any}, []ACR{AAL2Any, AAL3Any}, nil},
		{"OIDC Core §3.1.2.1: a value that nobody knows is passed over", Client{}, []ACR{"urn:x", AAL3Any}, []ACR{AAL3Any}, nil},
		{"assurance: nothing known", Client{}, []ACR{"urn:x"}, nil, ErrUnmet},
		{"assurance: outside what the client may ask", Client{ACRAllowed: []ACR{AAL3Any}}, []ACR{AAL2Any}, nil, ErrUnmet},
		{"assurance: partly outside", Client{ACRAllowed: []ACR{AAL3Any}}, []ACR{AAL2Any, AAL3Any}, []ACR{AAL3Any}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := tt.client.Wants(tt.requested)
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("Wants(%v) = %v, %v; want %v, %v", tt.requested, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestIssue(t *testing.T) {
	t.Run("assurance: for every pair, what is issued was asked, allowed and proved", func(t *testing.T) {
		for least := authenticators.AAL1; least <= authenticators.AAL3; least++ {
			for _, a := range classes {
				for _, b := range classes {
					for _, w := range everyWay {
						wants := []ACR{a.acr, b.acr}
						got, err := Client{MinLevel: least}.Issue(wants, w.Method, w.Level)
						possible := w.Level >= least && (a.acr.MetBy(w.Method, w.Level) || b.acr.MetBy(w.Method, w.Level))
						if possible != (err == nil) || err == nil && (!slices.Contains(wants, got) || !got.MetBy(w.Method, w.Level)) {
							t.Errorf("Issue(%v) for %s, least %d = %q, %v", wants, w.Name, least, got, err)
						}
						if err == nil && a.acr.MetBy(w.Method, w.Level) && got != a.acr {
							t.Errorf("Issue(%v) for %s = %s, want the first that is met", wants, w.Name, got)
						}
					}
				}
			}
		}
	})
}

func TestACRs(t *testing.T) {
	t.Run("discovery: discovery lists what can be met", func(t *testing.T) {
		want := []ACR{AAL3Any, AAL2OrAAL3Any, AAL2Any, AAL3Smartcard, AAL3CIS2Card}
		if got := ACRs([]Way{{"smartcard", []Proof{{authenticators.Smartcard, authenticators.AAL3}}}}); !slices.Equal(got, want) {
			t.Errorf("ACRs of a smartcard alone = %v, want %v", got, want)
		}
	})
}

// anACR is one of the classes, or one that nobody knows.
var anACR = rapid.Custom(func(t *rapid.T) ACR {
	known := []ACR{"", "AAL4_ANY", "aal3_any"}
	for _, c := range classes {
		known = append(known, c.acr)
	}
	return rapid.SampledFrom(known).Draw(t, "acr")
})

// aClient is a registered client, however little sense its registration makes.
var aClient = rapid.Custom(func(t *rapid.T) Client {
	return Client{ACRDefault: anACR.Draw(t, "default"), ACRAllowed: rapid.SliceOfN(anACR, 0, 4).Draw(t, "allowed"),
		MinLevel: authenticators.Level(rapid.IntRange(0, 4).Draw(t, "least"))}
})

// aProof is any method at any level: rooms give a method at its own level, or at
// a lower one where something was not as it should be.
var aProof = rapid.Custom(func(t *rapid.T) Proof {
	w := rapid.SampledFrom(everyWay).Draw(t, "way")
	return Proof{w.Method, authenticators.Level(rapid.IntRange(1, int(w.Level)).Draw(t, "level"))}
})

// someWays is a service's own choice of ways to sign in.
var someWays = rapid.Custom(func(t *rapid.T) []Way {
	var ways []Way
	for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), rapid.ID[string]).Draw(t, "names") {
		ways = append(ways, Way{name, rapid.SliceOfN(aProof, 1, 3).Draw(t, "proves")})
	}
	return ways
})

// allowed says whether client c may be given a, by its registration.
func allowed(c Client, a ACR) bool { return len(c.ACRAllowed) == 0 || slices.Contains(c.ACRAllowed, a) }

// answers says, in the words of docs/assurance.md, whether proof p answers a
// request of client c for a.
func answers(c Client, a ACR, p Proof) bool {
	return a.known() && allowed(c, a) && p.Level >= c.MinLevel && a.MetBy(p.Method, p.Level)
}

func TestNothingIsLowered(t *testing.T) {
	t.Run("assurance: what is issued was requested, is known and allowed, and was proved, whatever is requested and proved", rapid.MakeCheck(func(t *rapid.T) {
		c, p, requested := aClient.Draw(t, "client"), aProof.Draw(t, "proof"), rapid.SliceOfN(anACR, 0, 5).Draw(t, "requested")
		asked := requested
		if len(asked) == 0 {
			asked = []ACR{c.ACRDefault}
		}
		want := slices.IndexFunc(asked, func(a ACR) bool { return answers(c, a, p) })

		var got ACR
		wants, err := c.Wants(requested)
		if err == nil {
			got, err = c.Issue(wants, p.Method, p.Level)
		}
		switch {
		case want < 0 && (!errors.Is(err, ErrUnmet) || got != ""):
			t.Fatalf("%v of %v for %+v: %q, %v; nothing fits", requested, c, p, got, err)
		case want >= 0 && (err != nil || got != asked[want]):
			t.Fatalf("%v of %v for %+v: %q, %v; want %q, the first that fits", requested, c, p, got, err, asked[want])
		case err == nil && levelOf(got) > p.Level:
			t.Fatalf("%q was issued for %+v", got, p)
		}
	}))
	t.Run("assurance: a request that was lowered on its way gets nothing that its client may not have", rapid.MakeCheck(func(t *rapid.T) {
		c, p, requested := aClient.Draw(t, "client"), aProof.Draw(t, "proof"), rapid.SliceOfN(anACR, 1, 5).Draw(t, "requested")
		wants, err := c.Wants(requested)
		if err != nil {
			return
		}
		if got, err := c.Issue(wants, p.Method, p.Level); err == nil && (p.Level < c.MinLevel || !allowed(c, got)) {
			t.Fatalf("%v of %+v for %+v: %q", requested, c, p, got)
		}
	}))
	t.Run("assurance: a way is offered if and only if something that it proves answers the login", rapid.MakeCheck(func(t *rapid.T) {
		c, ways := aClient.Draw(t, "client"), someWays.Draw(t, "ways")
		wants, err := c.Wants(rapid.SliceOfN(anACR, 0, 5).Draw(t, "requested"))
		if err != nil {
			return
		}
		offered := c.Ways(Login{Wants: wants}, ways)
		for _, w := range ways {
			could := slices.ContainsFunc(w.Proves, func(p Proof) bool {
				return slices.ContainsFunc(wants, func(a ACR) bool { return answers(c, a, p) })
			})
			is := slices.ContainsFunc(offered, func(o Way) bool { return o.Name == w.Name })
			if could != is {
				t.Fatalf("%+v for %v of %+v: offered %v, want %v", w, wants, c, is, could)
			}
		}
	}))
	t.Run("assurance, S5: who is signed in with less than is wanted must sign in, and only in a way that may suffice", rapid.MakeCheck(func(t *rapid.T) {
		c, has, ways := aClient.Draw(t, "client"), aProof.Draw(t, "session"), someWays.Draw(t, "ways")
		wants, err := c.Wants(rapid.SliceOfN(anACR, 0, 5).Draw(t, "requested"))
		if err != nil {
			return
		}
		l := Login{ID: "this", Wants: wants, Silent: rapid.Bool().Draw(t, "silent")}
		s := Session{Method: has.Method, Level: has.Level, AuthTime: noon, LastAct: noon, Login: rapid.SampledFrom([]string{"this", "earlier"}).Draw(t, "login")}
		meets := slices.ContainsFunc(wants, func(a ACR) bool { return answers(c, a, has) })
		v := View{Login: l, Client: c, Session: &s}
		v.Step, v.Err = Next(v, noon.Add(time.Minute))
		if (v.Step == Return) != meets || !meets && l.Silent != errors.Is(v.Err, ErrLoginRequired) {
			t.Fatalf("%v of %+v for a session of %+v: step %v, %v", wants, c, has, v.Step, v.Err)
		}
		_, g, err := v.grant()
		if meets != (err == nil) || meets && (!answers(c, g.ACR, has) || !slices.Contains(wants, g.ACR)) || g.Level > has.Level {
			t.Fatalf("%v of %+v for a session of %+v: %+v, %v", wants, c, has, g, err)
		}
		for _, w := range c.Ways(l, ways) {
			if !slices.ContainsFunc(w.Proves, func(p Proof) bool {
				_, err := c.Issue(wants, p.Method, p.Level)
				return err == nil && p.Level >= c.MinLevel
			}) {
				t.Fatalf("%+v is offered for %v of %+v", w, wants, c)
			}
		}
	}))
	t.Run("discovery: a class is listed if and only if some way proves it", rapid.MakeCheck(func(t *rapid.T) {
		ways := someWays.Draw(t, "ways")
		listed := ACRs(ways)
		for _, c := range classes {
			could := slices.ContainsFunc(ways, func(w Way) bool {
				return slices.ContainsFunc(w.Proves, func(p Proof) bool { return c.acr.MetBy(p.Method, p.Level) })
			})
			if slices.Contains(listed, c.acr) != could {
				t.Fatalf("%s for %+v: listed %v", c.acr, ways, listed)
			}
		}
	}))
}

// levelOf is the level of a class.
func levelOf(a ACR) authenticators.Level {
	for _, c := range classes {
		if c.acr == a {
			return c.level
		}
	}
	return 0
}
