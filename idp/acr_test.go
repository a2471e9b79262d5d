package idp

import (
	"errors"
	"slices"
	"testing"

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
