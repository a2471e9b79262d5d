package directory

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestReadRefuses(t *testing.T) {
	const top = "organisations: [{code: A}]\n"
	for _, tt := range []struct{ rule, text, want string }{
		{"own rule: an unknown key is named with the nearest", "people:\n- uid: '555000000101'\n  emial: x\n", `line 3: unknown key "emial": did you mean "email"?`},
		{"own rule: an unknown key at the top", "persons: []", `line 1: unknown key "persons": did you mean "people"?`},
		{"own rule: an unknown key in a nested mapping", "policy:\n  warn_day: [1]\n", `line 2: unknown key "warn_day": did you mean "warn_days"?`},
		{"own rule: an unknown key may be near the second name", aClient("secrte: x"), `line 2: unknown key "secrte": did you mean "secret"?`},
		{"own rule: an unknown key and a missing one", "people:\n- {uids: '555000000101'}\n", "line 2: unknown key \"uids\": did you mean \"uid\"?\nline 2: \"uid\" is missing"},
		{"own rule: an organisation has a code", "organisations: [{name: x}]", `line 1: "code" is missing`},
		{"own rule: a person has a uid", "people: [{uid: ''}]", `line 1: "uid" is empty`},
		{"own rule: a position has an id, an organisation and a role", aPerson("positions: [{from: 2024-01-01}]"), "line 2: \"id\" is missing\nline 2: \"organisation\" is missing\nline 2: \"role_code\" is missing"},
		{"own rule: a client has an id", "clients:\n- id: null\n", `line 2: "id" is missing`},
		{"own rule: a uid is 12 digits", "people:\n- {uid: 55500000010}\n- {uid: 55500000010X}", "line 2: \"uid\": \"55500000010\" is not 12 digits\nline 3: \"uid\": \"55500000010X\" is not 12 digits"},
		{"own rule: a uid is one person's", "people:\n- uid: 555000000101\n- uid: 555000000101\n", `line 3: "uid": "555000000101" is taken by the person on line 2`},
		{"own rule: a code is one organisation's", "organisations:\n- code: A\n- code: A\n", `line 3: "code": "A" is taken by the organisation on line 2`},
		{"own rule: an id is one client's", "clients:\n- id: a\n- id: a\n", `line 3: "id": "a" is taken by the client on line 2`},
		{"own rule: an id is one position's", top + "people:\n- uid: 555000000101\n  positions: [{id: 1, organisation: A, role_code: R}]\n- uid: 555000000102\n  positions: [{id: 1, organisation: A, role_code: R}]\n", `line 6: "id": "1" is taken by the position on line 4`},
		{"own rule: a serial is one card's, however it is written", aPerson("cards: [{serial: 0a},\n {serial: 00A}]"), `line 3: "serial": "0A" is taken by the card on line 2`},
		{"own rule: a serial is hex", aPerson("cards: [{serial: -1}]"), `line 2: "serial": "-1" is not the serial number of a certificate, in hex`},
		{"own rule: a position's organisation exists", aPerson("positions: [{id: 1, organisation: 5E1, role_code: R}]"), `line 2: "organisation": there is no organisation "5E1" in the document`},
		{"own rule: parents and successors exist", "organisations:\n- {code: A, parent: B}\n- {code: C, successor: D}\n", "line 2: \"parent\": there is no organisation \"B\" in the document\nline 3: \"successor\": there is no organisation \"D\" in the document"},
		{"own rule: an enum is known", aPerson("profile: verifed"), `line 2: "profile": unknown value "verifed": did you mean "verified"?`},
		{"own rule: an enum with a default is not empty", aPerson("profile: ''"), `line 2: "profile" is empty`},
		{"own rule: a grant is known", aClient("grants: [refresh]"), `line 2: "grants": unknown value "refresh": did you mean "refresh_token"?`},
		{"own rule: an auth_method is known", aClient("auth_method: client_secret"), `line 2: "auth_method": unknown value "client_secret": did you mean "client_secret_post"?`},
		{"own rule: an acr is known", aClient("acr_allowed: [AAL3_ANY, AAL3_CARD]"), `line 2: "acr_allowed": unknown value "AAL3_CARD": did you mean "AAL3_ANY"?`},
		{"own rule: a date is a day", "organisations: [{code: A, closed_on: 2025-02-30}]", `line 1: "closed_on": "2025-02-30" is not a date such as 2026-03-31`},
		{"own rule: a position does not end before it begins", top + aPerson("positions: [{id: 1, organisation: A, role_code: R, from: 2024-01-02, to: 2024-01-01}]"), `line 3: "to": the position ends before it begins`},
		{"own rule: identity_assurance is 0 to 3", aPerson("identity_assurance: 4"), `line 2: "identity_assurance": 4 is not between 0 and 3`},
		{"own rule: a number is not text", aPerson("identity_assurance: '3'"), `line 2: "identity_assurance": a whole number is wanted here`},
		{"own rule: a number is not octal", "policy: {warn_days: [010]}", `line 1: "warn_days": a whole number is wanted here`},
		{"own rule: yes is not true", aClient("require_pkce: yes"), `line 2: "require_pkce": true or false is wanted here`},
		{"own rule: a redirect address is absolute", "clients:\n- id: a\n  redirect_uris:\n  - https://a.example/cb\n  - /cb\n", `line 5: "redirect_uris": "/cb" is not an absolute https address, or an http one of this computer, without user, fragment and wildcard`},
		{"own rule: a redirect address is not empty", aClient("redirect_uris: ['']"), `line 2: "redirect_uris": an item of the list is empty`},
		{"own rule: a logout address is https, or of this computer", aClient("backchannel_logout_uri: http://ward.example/out"), `line 2: "backchannel_logout_uri": "http://ward.example/out" is not an absolute https address, or an http one of this computer: whoever is on the way could read who signed out, and stop it`},
		{"own rule: a passcode is never shown", aPerson("cards: [{serial: 1, passcode: '1234', puk: hidden}]"), "line 2: \"passcode\": what stands here is not 6 to 8 digits\nline 2: \"puk\": what stands here is not 8 digits"},
		{"own rule: a secret in the wrong place is never shown", aClient("secret_hash: hunter2"), `line 2: "secret_hash": sha256: and 43 letters of base64url are wanted here`},
		{"own rule: one secret is enough", aClient("secret: a,\n secret_hash: b"), `line 3: "secret_hash": one of "secret" and "secret_hash" is enough, and line 2 has one`},
		{"own rule: a certificate is known", aPerson("cards: [{serial: 1, certificate: expire}]"), `line 2: "certificate": unknown value "expire": did you mean "expired"?`},
		{"own rule: a certificate ends in some days", aPerson("cards: [{serial: 1, certificate: {expires_in: soon}}]"), `line 2: "expires_in": a whole number is wanted here`},
		{"own rule: an example of a certificate is not one", aPerson("cards: [{serial: 1, certificate: 'expires_in: x'}]"), `line 2: "certificate": unknown value "expires_in: x": did you mean "expires_in: 12"?`},
		{"directory: an authenticator has a kind that there is", aPerson("authenticators: [{id: a, kind: passkeys, handle: h, method: FIDO2, level: 3}]"), `line 2: "kind": unknown value "passkeys": did you mean "passkey"?`},
		{"directory: an authenticator has a method", aPerson("authenticators: [{id: a, kind: passkey, handle: h, level: 3}]"), `line 2: "method" is missing`},
		{"directory: an authenticator's id is one authenticator's", aPerson("authenticators: [{id: a, kind: passkey, handle: h, method: FIDO2, level: 3}, {id: a, kind: totp, handle: h, method: TOTP, level: 2}]"), `line 2: "id": "a" is taken by the authenticator on line 2`},
		{"directory: a handle is one authenticator's of its kind", aPerson("authenticators: [{id: a, kind: passkey, handle: h, method: FIDO2, level: 3}, {id: b, kind: passkey, handle: h, method: FIDO2, level: 3}]"), `line 2: "handle": "h" is taken by the passkey on line 2`},
		{"directory: a self-claimed authenticator is worth level 2 at most", aPerson("authenticators: [{id: a, kind: passkey, handle: h, method: FIDO2, level: 3, self_claimed: true}]"), `line 2: "level": a self-claimed authenticator is never worth more than level 2`},
		{"directory: a record is JSON in base64, and never shown", aPerson("authenticators: [{id: a, kind: passkey, handle: h, method: FIDO2, level: 3, record: c2VjcmV0}]"), `line 2: "record": JSON in base64 is wanted here`},
		{"directory: a time is written in one way", aPerson("authenticators: [{id: a, kind: passkey, handle: h, method: FIDO2, level: 3, added_at: 2030-01-01}]"), `line 2: "added_at": "2030-01-01" is not a time such as 2026-03-31T12:00:00Z`},
		{"own rule: a robot has an owner, who is somebody else in the document", "people:\n- {uid: 555000000101, robot: {until: 2030-01-01}}\n- {uid: 555000000102, robot: {owner: 555000000102}}\n- {uid: 555000000103, robot: {owner: 555000000999}}\n", "line 2: \"until\": a robot has an owner, who answers for it\nline 3: \"robot\": a robot has somebody else as its owner\nline 4: \"owner\": there is no person \"555000000999\" in the document"},
		{"own rule: a duplicate is of somebody else in the document", "people:\n- {uid: 555000000101, merged_into: 555000000101}\n- {uid: 555000000102, merged_into: 555000000999}\n", "line 2: \"merged_into\": nobody is their own duplicate\nline 3: \"merged_into\": there is no person \"555000000999\" in the document"},
		{"own rule: a card's certificate ends on a day", aPerson("cards: [{serial: 1, ends_on: soon}]"), `line 2: "ends_on": "soon" is not a date such as 2026-03-31`},
		{"own rule: private keys are refused", aClient("jwks: {keys: [{kty: RSA, d: x}]}"), `line 2: "jwks": a private key has no place in the directory`},
		{"own rule: a key set is one", aClient("jwks: [a]"), `line 2: "jwks": a JSON Web Key Set is wanted here, {keys: [...]}`},
		{"own rule: a key has a type", aClient("jwks: {keys: [a]}"), `line 2: "jwks": a key has no "kty"`},
		{"own rule: a member of a key comes once", aClient("jwks: {keys: [{kty: RSA, kty: EC}]}"), `line 2: "kty" is given twice`},
		{"own rule: a key comes once", "people:\n- uid: '555000000101'\n  email: a\n  email: b\n", `line 4: "email" is given twice: first on line 3`},
		{"own rule: nothing is given twice either", "people:\n- uid: '555000000101'\n  email: null\n  email: b\n", `line 4: "email" is given twice: first on line 3`},
		{"own rule: no aliases and no anchors", "people: &p []\nclients: *p\n", "line 1: \"people\": anchors are not allowed\nline 2: \"clients\": aliases are not allowed"},
		{"own rule: no anchors in keys and key sets", "&k clients:\n- {id: a, jwks: {keys: [&a b]}}", "line 1: anchors are not allowed"},
		{"own rule: no anchor at the root", "&a {}", "line 1: anchors are not allowed"},
		{"own rule: no merge keys", "<<: {people: []}\n", "line 1: merge keys are not allowed"},
		{"own rule: no tags", aPerson("email: !!binary aGk="), `line 2: "email": tags are not allowed`},
		{"own rule: a key is a word", "? [people]\n: []\n", "line 1: a key must be one word"},
		{"own rule: text has one line", aPerson(`email: "a\nb"`), `line 2: "email": line breaks and control characters are not allowed`},
		{"own rule: text is not a list", aPerson("email: [a]"), `line 2: "email": one value is wanted here`},
		{"own rule: a list is one", aPerson("cards: {serial: 1}"), `line 2: "cards": a list is wanted here`},
		{"own rule: a list has no holes", "people: [null]", `line 1: "people": an item of the list is empty`},
		{"own rule: a directory is a mapping", "- a\n", "line 1: keys and values are wanted here"},
		{"own rule: an empty file is no directory", "# nothing\n", "line 1: the document is empty"},
		{"own rule: a file has one document", "people: []\n---\nclients: []\n", "line 2: there is a second document in the file"},
		{"own rule: what is not YAML", "people:\n- uid: a\n   b: c\n", "line 3: mapping values are not allowed in this context"},
		{"own rule: what is not YAML from the start", "{people: a: b}", "line 1: did not find expected ',' or '}'"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d, err := Read(strings.NewReader(tt.text))
			if err == nil || err.Error() != tt.want {
				t.Errorf("Read(%q):\n%v\nwant\n%v", tt.text, err, tt.want)
			}
			if len(d.People)+len(d.Clients)+len(d.Organisations) > 0 {
				t.Errorf("Read(%q) returns %+v beside its error", tt.text, d)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Run("own rule: every problem is named with its line and its key, or a thousand and how many more there are", func(t *testing.T) {
		for _, tt := range []struct {
			wrong, named int
			last         string
		}{{21, 21, ""}, {1000, 1000, ""}, {1700, 1001, "and 700 more"}} {
			var b strings.Builder
			b.WriteString("people:\n")
			for i := range tt.wrong {
				fmt.Fprintf(&b, "- uid: %d\n", i)
			}
			_, err := Read(strings.NewReader(b.String()))
			ps, ok := errors.AsType[Problems](err)
			if !ok || len(ps) != tt.named {
				t.Fatalf("%d problems of %d: %v", len(ps), tt.wrong, err)
			}
			for i, p := range ps[:min(tt.wrong, 1000)] {
				if p.Line != i+2 || !strings.HasPrefix(p.Text, `"uid": `) {
					t.Errorf("problem %d: %v", i, p)
				}
			}
			if end := ps[len(ps)-1]; tt.last != "" && end.Error() != tt.last {
				t.Errorf("at the end: %v", end)
			}
		}
	})
	t.Run("own rule: a problem with long text is short", func(t *testing.T) {
		_, err := Read(strings.NewReader("people: []\n" + strings.Repeat("é", 500) + ": 1\n"))
		if err == nil || len(err.Error()) > 250 {
			t.Error(err)
		}
	})
	t.Run("own rule: an endless document is refused", func(t *testing.T) {
		_, err := Read(endless{})
		if err == nil || err.Error() != "read directory: longer than 64 MiB" {
			t.Error(err)
		}
	})
	t.Run("own rule: an outage is no problem of the document", func(t *testing.T) {
		_, err := Read(io.MultiReader(strings.NewReader("people: []\n"), broken{}))
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestNearest(t *testing.T) {
	known := []string{"uid", "name", "email", "workgroups"}
	for word, want := range map[string]string{
		"uids": "uid", "diu": "uid", "eamil": "email", "work_groups": "workgroups", "": "uid", "nmae": "name",
	} {
		t.Run("own rule: the nearest known key to "+word, func(t *testing.T) {
			if got := Nearest(word, known); got != want {
				t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
			}
		})
	}
}

func TestNearestCountsASwapOnce(t *testing.T) {
	if got := Nearest("abcd", []string{"xbcx", "abdc"}); got != "abdc" {
		t.Errorf("Nearest(abcd) = %q, want abdc", got)
	}
}

func TestPrivateKeysAreRefused(t *testing.T) {
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		t.Run("RFC 7518 §6: "+member+" is private", func(t *testing.T) {
			_, err := Read(strings.NewReader(aClient("jwks: {keys: [{kty: RSA, " + member + ": x}]}")))
			if err == nil || err.Error() != `line 2: "jwks": a private key has no place in the directory` {
				t.Error(err)
			}
		})
	}
}

func TestCardSerial(t *testing.T) {
	for serial, want := range map[string]string{
		"0000101": "0101", "abc": "0ABC", "01AF": "01AF", "1": "01", "0": "", "": "", "-1": "", "+1": "", "0x1": "", "1_0": "", " 1": "", "g": "",
		strings.Repeat("7F", 20): strings.Repeat("7F", 20), strings.Repeat("FF", 20): "", strings.Repeat("01", 21): "",
	} {
		t.Run("RFC 5280 §4.1.2.2: the serial "+serial, func(t *testing.T) {
			if got := CardSerial(serial); got != want {
				t.Errorf("CardSerial(%q) = %q, want %q", serial, got, want)
			}
		})
	}
}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
