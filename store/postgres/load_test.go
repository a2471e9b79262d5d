package postgres

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// everything is a directory with something in every place, not in the order of
// its identifiers.
const everything = `
policy:
  card_series:
    - {series: 6, blocked_from: 2026-03-31}
    - {series: 4, blocked_from: 2026-03-31}
    - {series: 10, legacy_gateway: false}
  agents:
    - {product: legacy-identity-agent, except: "2.4.10.0", blocked_from: 2026-03-31}
    - {product: lanyard-agent, below: "0.1.0", blocked_from: 2026-01-01}
  warn_days: [30, 90, 1]
organisations:
  - {code: b1, name: Brook}
  - {code: A9A5A, name: Riverside Surgery, parent: b1, closed_on: 2031-05-06, successor: 5E1}
  - {code: 5E1, name: Millbrook}
people:
  - uid: "555000000102"
    profile: restricted
  - uid: "555000000101"
    name: {title: Dr, given: Asha, middle: Jo, family: Smith, display: Dr Asha Smith}
    email: asha.smith@riverside.example
    mobile: "+447700900101"
    ni_number: QQ123456C
    identity_assurance: 3
    profile: unverified
    professional: {gmc_id: C1234567, nmc_id: "1", gdc_id: "2", gphc_id: "3", gmp_id: "4", gdp_id: "5", rcn_id: "6", consultant_id: "7"}
    positions:
      - {id: "555000000202", organisation: 5E1, role_code: "S1:G1:R2"}
      - id: "555000000201"
        org_person_id: "555000000301"
        organisation: A9A5A
        role_code: "S8000:G8000:R8000"
        role_name: '"Clinical":"Clinical Provision":"Practitioner"'
        activities: [{code: B0360, name: View}, {code: B0001, name: "Quote \" and \\ and é"}]
        areas_of_work: [{code: P1, name: Area}]
        workgroups: [{code: "000000000401", name: Ward}]
        from: 2024-01-01
        to: 2034-02-28
    memberships:
      - {org_person_id: "000000000302", organisation: b1, gnc: G2}
      - {organisation: A9A5A}
    cards:
      - {serial: "0000101", series: 9, passcode: "123456", puk: "12345678", tries_left: 1, certificate: expired}
      - {serial: 0AbC, series: 5, state: blocked, registered: false}
    authenticators:
      - {id: k, kind: passkey, handle: h, name: "My key", model: K 5, method: FIDO2, level: 3, added_at: "2029-01-01T09:00:00.000001Z", record: eyJrIjoxfQ==}
      - {id: c, kind: totp, handle: "555000000101", method: TOTP, level: 2, state: suspended, self_claimed: true, added_at: "2029-02-01T09:00:00Z", record: eyJzIjoiQkcifQ==, mark: eyJzdGVwIjo1fQ==}
clients:
  - id: ward
    name: Ward list
    secret: s
    jwks: {keys: [{kty: RSA, n: AQAB, e: AQAB}]}
    assertion_algs: []
    redirect_uris: [https://ward.example/cb, https://ward.example/b]
    post_logout_redirect_uris: [https://ward.example/]
    backchannel_logout_uri: https://ward.example/out
    scopes: [openid, profile]
    grants: [refresh_token, authorization_code]
    response_modes: [query]
    id_token_alg: ES256
    userinfo_alg: RS256
    require_pkce: true
    acr_default: AAL2_ANY
    acr_allowed: [AAL3_ANY, AAL2_ANY]
    min_level: 2
    requires_role: true
    accepts_unverified: true
    exchange_from: [keys, "0001"]
  - {id: 0001, auth_method: none}
  - {id: keys, auth_method: private_key_jwt, jwks_uri: https://keys.example/jwks}
`

func document(t *testing.T, text string) directory.Document {
	t.Helper()
	d, err := directory.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// written returns d as it is written.
func written(t *testing.T, d directory.Document) string {
	t.Helper()
	var text bytes.Buffer
	if err := directory.WriteSecrets(&text, d); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// asExported returns d without what is of development, in the order of the
// identifiers.
func asExported(d directory.Document) directory.Document {
	d = d.Clone()
	for i := range d.People {
		for j := range d.People[i].Cards {
			c := &d.People[i].Cards[j]
			c.Passcode, c.PUK, c.TriesLeft, c.Certificate = "", "", 3, "valid"
		}
	}
	slices.SortFunc(d.Organisations, func(a, b directory.Organisation) int { return strings.Compare(a.Code, b.Code) })
	slices.SortFunc(d.People, func(a, b directory.Person) int { return strings.Compare(a.UID, b.UID) })
	slices.SortFunc(d.Clients, func(a, b directory.Client) int { return strings.Compare(a.ID, b.ID) })
	return d
}

func TestDocument(t *testing.T) {
	doc := document(t, everything)
	s := holding(t, doc, "A1B2")
	t.Run("own rule: what was loaded can be exported, in the order of the identifiers", func(t *testing.T) {
		got, err := s.Document(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text := written(t, got)
		if want := written(t, asExported(doc)); text != want {
			t.Errorf("Document() = %s\nwant %s", text, want)
		}
		if again := written(t, document(t, text)); again != text {
			t.Errorf("read and written again it is %s\nnot %s", again, text)
		}
	})
	t.Run("own rule: an NI number is kept sealed, for its person", func(t *testing.T) {
		var kept []byte
		if err := s.pool.QueryRow(t.Context(), "SELECT ni_number FROM people WHERE uid = '555000000101'").Scan(&kept); err != nil {
			t.Fatal(err)
		}
		if n, err := (paper{}).Unseal(kept, []byte("ni_number 555000000101")); err != nil || string(n) != "QQ123456C" {
			t.Errorf("%s is kept", kept)
		}
		exec(t, s, "UPDATE people SET ni_number = $1 WHERE uid = '555000000102'", kept)
		defer exec(t, s, "UPDATE people SET ni_number = NULL WHERE uid = '555000000102'")
		if _, err := s.Document(t.Context()); err == nil {
			t.Error("one person's number was read as another's")
		}
	})
	t.Run("own rule: without a sealer no NI number is kept, and nothing else of the document", func(t *testing.T) {
		s := openAt(t, aDatabase(t), func(c *Config) { c.Sealer = nil })
		if err := s.Load(t.Context(), doc, ""); err == nil || strings.Contains(err.Error(), "QQ123456C") {
			t.Errorf("Load: %v", err)
		}
		if d, err := s.Document(t.Context()); err != nil || len(d.Organisations)+len(d.People)+len(d.Clients) != 0 {
			t.Errorf("Document() = %+v, %v; want none", d, err)
		}
	})
	t.Run("own rule: nothing of a virtual card is kept", func(t *testing.T) {
		d, err := s.Document(t.Context())
		if text := written(t, d); err != nil || strings.Contains(text, "123456\"") && strings.Contains(text, "passcode") {
			t.Errorf("Document() = %s, %v", text, err)
		}
	})
}

func TestLoad(t *testing.T) {
	doc := document(t, everything)
	t.Run("own rule: a registry that knows anybody is left as it is", func(t *testing.T) {
		for _, sql := range []string{
			"INSERT INTO organisations (code) VALUES ('x')", "INSERT INTO policy DEFAULT VALUES",
			"INSERT INTO people (uid, profile) VALUES ('555000000999', 'verified')",
			"INSERT INTO clients (id, auth_method, id_token_alg, acr_default) VALUES ('x', 'none', 'RS256', 'AAL3_ANY')",
			"INSERT INTO card_series (series) VALUES (4)", "INSERT INTO agent_rules (product) VALUES ('x')",
		} {
			s := open(t)
			exec(t, s, sql)
			if err := s.Load(t.Context(), doc, ""); !errors.Is(err, ErrNotEmpty) {
				t.Errorf("Load after %s: %v, want ErrNotEmpty", sql, err)
			}
		}
	})
	t.Run("own rule: of many who load at once one does, and the rest change nothing", func(t *testing.T) {
		s := open(t)
		var (
			wg   sync.WaitGroup
			done atomic.Int32
		)
		for range 6 {
			wg.Go(func() {
				switch err := s.Load(t.Context(), doc, ""); {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, ErrNotEmpty):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got, err := s.Document(t.Context()); done.Load() != 1 || err != nil || written(t, got) != written(t, asExported(doc)) {
			t.Errorf("%d loaded, %v", done.Load(), err)
		}
	})
	t.Run("own rule: what cannot be loaded whole is not loaded", func(t *testing.T) {
		s := open(t)
		broken := doc.Clone()
		broken.Clients = append(broken.Clients, broken.Clients[0])
		if err := s.Load(t.Context(), broken, ""); err == nil {
			t.Error("two clients of one id were loaded")
		}
		if err := s.Load(t.Context(), doc, ""); err != nil {
			t.Error(err)
		}
	})
}

// The same person, however the registry is kept.
func TestPersonIsTheDocuments(t *testing.T) {
	t.Run("own rule: the rules see what the document says", func(t *testing.T) {
		doc := document(t, everything)
		s := holding(t, doc, "")
		for _, p := range doc.People {
			got, err := s.Person(t.Context(), p.UID)
			wantEqual(t, got, p.IDP(doc.ByCode()), err)
		}
		for _, c := range doc.Clients {
			got, err := s.Client(t.Context(), c.ID)
			if len(got.JWKS) == 0 {
				got.JWKS = nil
			}
			want := c.IDP()
			want.AssertionAlgs = orNil(want.AssertionAlgs)
			if len(want.JWKS) == 0 {
				want.JWKS = nil
			}
			wantEqual(t, got, want, err)
		}
	})
}
