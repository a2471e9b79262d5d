package directory

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

var update = flag.Bool("update", false, "rewrite testdata/export.yaml")

func file(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func read(t *testing.T, text string) Document {
	t.Helper()
	d, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return d
}

func write(t *testing.T, d Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return b.String()
}

// aPerson is a document with one person who has more.
func aPerson(more string) string { return "people:\n- {uid: '555000000101', " + more + "}\n" }

// aClient is a document with one client that has more.
func aClient(more string) string { return "clients:\n- {id: a, " + more + "}\n" }

func TestReadExample(t *testing.T) {
	d := read(t, string(file(t, "testdata/example.yaml")))
	p := d.People[0]
	want := Person{
		UID:               "555000000101",
		Name:              Name{"Dr", "Asha", "Jo", "Smith", "Dr Asha Smith"},
		Email:             "asha.smith@riverside.example",
		Mobile:            "+447700900101",
		NINumber:          "QQ123456C",
		IdentityAssurance: 3,
		Profile:           idp.Verified,
		Professional:      Professional{GMC: "C1234567"},
		Positions: []Position{{
			ID: "555000000201", OrgPersonID: "555000000301", Organisation: "A9A5A", RoleCode: "S8000:G8000:R8000",
			RoleName:   `"Clinical":"Clinical Provision":"Clinical Practitioner Access Role"`,
			Activities: []Coded{{"B0360", "View Detailed Health Records"}}, From: "2024-01-01",
		}},
		Cards: []Card{{
			Serial: "0000101", Series: 9, State: "active", Registered: true, Certificate: "valid",
			Passcode: "123456", PUK: "12345678", TriesLeft: 3,
		}},
	}
	t.Run("own rule: the example is read", func(t *testing.T) {
		if !reflect.DeepEqual(p, want) {
			t.Errorf("got %+v, want %+v", p, want)
		}
		if rule := d.Policy.CardSeries[3]; rule != (SeriesRule{Series: 10}) {
			t.Errorf("series 10: %+v", rule)
		}
		if rule := d.Policy.CardSeries[0]; rule != (SeriesRule{4, "2026-03-31", true}) {
			t.Errorf("series 4: %+v", rule)
		}
	})
	t.Run("own rule: the defaults of the example are the defaults", func(t *testing.T) {
		got := read(t, "clients: [{id: demo-rp}]").Clients[0]
		want := d.Clients[0]
		want.Name, want.SecretHash, want.RedirectURIs, want.PostLogoutRedirectURIs, want.BackchannelLogoutURI = "", "", nil, nil, ""
		want.Scopes, want.Grants = []string{"openid"}, []string{"authorization_code"}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		card := read(t, aPerson("cards: [{serial: 0000101, passcode: '123456', puk: '12345678'}]")).People[0].Cards[0]
		if card != p.Cards[0] {
			t.Errorf("got %+v, want %+v", card, p.Cards[0])
		}
		if warn := read(t, "{}").Policy.WarnDays; !reflect.DeepEqual(warn, d.Policy.WarnDays) {
			t.Errorf("warn_days %v, want %v", warn, d.Policy.WarnDays)
		}
	})
	t.Run("own rule: its export stays as it is", func(t *testing.T) {
		got := write(t, d)
		if *update {
			if err := os.WriteFile("testdata/export.yaml", []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want := string(file(t, "testdata/export.yaml")); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	keys := `jwks: {keys: [{kty: RSA, n: 5E1, e: AQAB, kid: 0001, ext: true, x: null, "x5t#S256": on}]}`
	for rule, text := range map[string]string{
		"own rule: the example":               string(file(t, "testdata/example.yaml")),
		"own rule: the demo directory":        string(file(t, "../../../cmd/lanyard/demo/directory.yaml")),
		"own rule: an empty directory":        "{}",
		"own rule: emptied defaults":          "policy: {warn_days: []}\n" + aClient("scopes: [], grants: [], response_modes: [], assertion_algs: []"),
		"own rule: keys of a client":          aClient(keys),
		"own rule: days of a certificate":     aPerson("cards: [{serial: 1, certificate: {expires_in: 12}}, {serial: 2, certificate: expired}]"),
		"own rule: a card that is not itself": aPerson("cards: [{serial: 1, registered: false, state: revoked, tries_left: 0}]"),
		"own rule: a robot and a duplicate": aPerson(`robot: {owner: 555000000102, until: 2030-01-31}`) +
			`- {uid: 555000000102, merged_into: 555000000101}`,
		"own rule: work for a time, and a card that ends": "organisations: [{code: A}]\n" +
			aPerson("positions: [{id: 1, organisation: A, role_code: R, from: 2030-01-01, to: 2030-01-07, reason: cover}], cards: [{serial: 1, ends_on: 2031-01-01}]"),
		"own rule: every kind of text": aPerson(`email: "é \" \\ # : - \U0001F600 'x' {}", name: {family: Null, given: "null", middle: "~", title: "  "}`),
	} {
		t.Run(rule, func(t *testing.T) {
			d := read(t, text)
			out := write(t, d)
			again := read(t, out)
			if !reflect.DeepEqual(again, d) {
				t.Errorf("read %+v, wrote and read %+v:\n%s", d, again, out)
			}
			if twice := write(t, again); twice != out {
				t.Errorf("wrote\n%s\nand then\n%s", out, twice)
			}
		})
	}
}

func TestAuthenticators(t *testing.T) {
	const text = `authenticators: [{id: k, kind: passkey, handle: h, name: My key, method: FIDO2, level: 3, state: suspended, self_claimed: false, added_at: "2029-01-01T09:00:00.5Z", record: eyJrIjoxfQ==, mark: eyJuIjo1fQ==}]`
	t.Run("directory: what rooms keep is written when it is asked for, and comes back", func(t *testing.T) {
		d := read(t, aPerson(text))
		var out bytes.Buffer
		if err := WriteSecrets(&out, d); err != nil {
			t.Fatal(err)
		}
		if again := read(t, out.String()); !reflect.DeepEqual(again, d) || again.People[0].Authenticators[0].Record != `{"k":1}` {
			t.Errorf("read %+v, wrote and read %+v:\n%s", d, again, out.String())
		}
		if h := d.People[0].Authenticators[0].Held("u"); !reflect.DeepEqual(AuthenticatorOf(h), d.People[0].Authenticators[0]) {
			t.Errorf("it becomes %+v", h)
		}
	})
	t.Run("directory: and not otherwise, and the document stays as it is", func(t *testing.T) {
		d := read(t, aPerson(text))
		out := write(t, d)
		if strings.Contains(out, "eyJ") || strings.Contains(out, "record") || !strings.Contains(out, `"My key"`) {
			t.Errorf("wrote %s", out)
		}
		if d.People[0].Authenticators[0].Mark != `{"n":5}` {
			t.Error("the document has lost it")
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	t.Run("own rule: text that is not UTF-8 is not written", func(t *testing.T) {
		if err := Write(io.Discard, Document{People: []Person{{UID: "\xff"}}}); err == nil {
			t.Error("Write accepts it")
		}
	})
	t.Run("own rule: an outage is told", func(t *testing.T) {
		if err := Write(broken{}, Document{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
	})
}

func TestTextIsReadAsWritten(t *testing.T) {
	for _, code := range []string{"5E1", "0001", "on", "yes", "1_000", "0x1F", "1.10", "2024-01-01", "NULL", ".inf", "12:30:45", "=", "+1", "true"} {
		t.Run("own rule: text is read as written: "+code, func(t *testing.T) {
			d := read(t, "organisations: [{code: "+code+"}]\n"+aPerson("memberships: [{organisation: "+code+"}]"))
			if got := d.Organisations[0].Code; got != code {
				t.Errorf("code %q, want %q", got, code)
			}
			if out := write(t, d); !strings.Contains(out, `{code: "`+code+`"}`) || !strings.Contains(out, `organisation: "`+code+`"`) {
				t.Errorf("the export does not quote %s:\n%s", code, out)
			}
		})
	}
	t.Run("own rule: null, ~ and nothing are absent", func(t *testing.T) {
		d := read(t, "organisations: ~\nclients:\npeople: [{uid: '555000000101', email: null, mobile: ~, ni_number: , positions: null, profile: null}]")
		if p := d.People[0]; p.Email != "" || p.Mobile != "" || p.NINumber != "" || p.Profile != idp.Verified {
			t.Errorf("%+v", p)
		}
	})
}

func TestCertificate(t *testing.T) {
	for text, want := range map[string]Certificate{
		"valid":                "valid",
		"revoked":              "revoked",
		"'expires_in: 12'":     "expires_in: 12",
		`"expires_in:12"`:      "expires_in: 12",
		"{expires_in: 12}":     "expires_in: 12",
		`{"expires_in": 0}`:    "expires_in: 0",
		"null":                 "valid",
		`"expires_in: 000012"`: "expires_in: 12",
	} {
		t.Run("own rule: certificate: "+text, func(t *testing.T) {
			got := read(t, aPerson("cards: [{serial: 1, certificate: "+text+"}]")).People[0].Cards[0].Certificate
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestSecret(t *testing.T) {
	t.Run("own rule: a secret is never written in clear", func(t *testing.T) {
		d := read(t, aClient("secret: hunter2"))
		out := write(t, d)
		if strings.Contains(out, "hunter2") || !strings.Contains(out, `secret_hash: "`+idp.HashSecret("hunter2")+`"`) {
			t.Errorf("wrote\n%s", out)
		}
		if !d.Clients[0].IDP().CheckSecret("hunter2") {
			t.Error("the secret does not open the client")
		}
	})
	t.Run("own rule: an empty secret opens nothing", func(t *testing.T) {
		c := read(t, aClient(`secret: ""`)).Clients[0].IDP()
		if c.SecretHash != "" || c.CheckSecret("") {
			t.Errorf("the hash of no secret is %q", c.SecretHash)
		}
	})
}

func TestJSON(t *testing.T) {
	t.Run("own rule: JSON is read, with all its escapes", func(t *testing.T) {
		d := read(t, "{\n\t\"people\": [\n\t\t{\"uid\": \"555000000101\", \"email\": \"a\\/b\\\\u0041\\u0042\\ud83d\\ude00\\ud83d.\", \"identity_assurance\": 3}\n\t]\n}")
		if got, want := d.People[0].Email, "a/b\\u0041B\U0001F600\uFFFD."; got != want {
			t.Errorf("email %q, want %q", got, want)
		}
	})
	t.Run("own rule: errors in JSON have their line", func(t *testing.T) {
		_, err := Read(strings.NewReader("{\"people\": [\n{\"uid\": \"555000000101\",\n\"emial\": \"\\/\"}]}"))
		if err == nil || err.Error() != `line 3: unknown key "emial": did you mean "email"?` {
			t.Error(err)
		}
	})
}

func TestClone(t *testing.T) {
	t.Run("own rule: a copy shares nothing", func(t *testing.T) {
		d := read(t, string(file(t, "testdata/example.yaml")))
		c := d.Clone()
		if !reflect.DeepEqual(c, d) {
			t.Fatal("the copy is not equal")
		}
		c.People[0].Positions[0].Activities[0].Code = "x"
		c.Clients[0].Scopes[0] = "x"
		c.Policy.WarnDays[0] = 7
		if !reflect.DeepEqual(d, read(t, string(file(t, "testdata/example.yaml")))) {
			t.Error("a change of the copy changed the document")
		}
	})
}

func TestIDP(t *testing.T) {
	t.Run("own rule: who has no display name is shown by title and name", func(t *testing.T) {
		p := read(t, aPerson("name: {title: Dr, given: Asha, family: Smith}")).People[0].IDP(nil)
		if p.Name.Display != "Dr Asha Smith" {
			t.Errorf("%q", p.Name.Display)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(file(f, "testdata/example.yaml"))
	f.Add(file(f, "../../../cmd/lanyard/demo/directory.yaml"))
	f.Add([]byte(`{"clients":[{"id":"a","jwks":{"keys":[{"kty":"EC","x":"\ud83d\ude00"}]},"secret":"s"}]}`))
	f.Add([]byte("organisations: [{code: 5E1}]\npeople:\n- uid: 000000000001\n  cards: [{serial: 0a, certificate: 'expires_in: 1'}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		out := write(t, d)
		again := read(t, out)
		if !reflect.DeepEqual(again, d) || write(t, again) != out {
			t.Errorf("read %+v, wrote and read %+v", d, again)
		}
	})
}
