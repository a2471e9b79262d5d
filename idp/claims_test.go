package idp

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares v with the file testdata/name.json, which is a promise to
// every relying party.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs:\n%s", path, got.String())
	}
}

var (
	surgery  = Organisation{Code: "A9A5A", Name: "Riverside Surgery"}
	hospital = Organisation{Code: "5E1", Name: "Millbrook Hospital"}
)

func aNurse() Person {
	return Person{UID: "555000000101", Name: Name{Title: "Ms", Given: "Ada", Middle: "Grace May", Family: "Cole", Display: "Ada Cole"},
		Email: "ada.cole@riverside.example", IdentityAssurance: 3, Profile: Verified,
		Professional: map[string]string{"nmc_id": "98A7654E", "rcn_id": "7654321"}, Positions: []Position{nursing()}}
}

func nursing() Position {
	return Position{ID: "555000000201", OrgPersonID: "555000000301", Organisation: surgery,
		RoleCode: "S8000:G8000:R8001", RoleName: `"Clinical":"Clinical Provision":"Nurse Access Role"`,
		Activities: []Coded{{"B0360", "View Detailed Health Records"}, {"B0428", "Personal Medication Administration"}}}
}

// atTwo works at a hospital too, in two roles, one of which has ended.
func atTwo() Person {
	p := aNurse()
	p.Positions = append(p.Positions,
		Position{ID: "555000000202", OrgPersonID: "555000000302", Organisation: hospital, RoleCode: "S8000:G8001:R8003",
			RoleName:    `"Clinical":"Support":"Health Professional Access Role"`,
			Workgroups:  []Coded{{"093895563513", "Ward 7"}},
			AreasOfWork: []Coded{{"P0020:Q0300:T0640", `"Pathology":"Pathology":"Phlebotomy"`}}},
		Position{ID: "555000000203", OrgPersonID: "555000000302", Organisation: hospital, RoleCode: "S8001:G8002:R8008",
			RoleName: `"Admin & Clerical":"Admin":"Admin/Clinical Support Access Role"`},
		Position{ID: "555000000204", OrgPersonID: "555000000304", Organisation: surgery, RoleCode: "x", To: "2029-12-31"})
	p.Memberships = []Membership{{OrgPersonID: "555000000305", Organisation: hospital, GNC: "G1234"}}
	return p
}

func aConsultant() Person {
	p := aNurse()
	p.Professional = map[string]string{"gmc_id": "C1", "nmc_id": "C2", "gdc_id": "C3", "gphc_id": "C4", "gmp_id": "C5", "gdp_id": "C6", "rcn_id": "C7", "consultant_id": "C8"}
	return p
}

func withoutARole() Person {
	p := aNurse()
	p.Positions = nil
	return p
}

// barely has nothing that can be missing, and characters that JSON knows.
func barely() Person {
	return Person{UID: "093895563513", Name: Name{Given: "Élodie", Family: `O'Brien & "Sons" <x>`}, Profile: Unverified}
}

func granted(scopes ...string) Grant {
	return Grant{ClientID: "demo-rp", Nonce: "n", Scopes: scopes, Subject: "555000000101", SessionID: "sid", ACR: AAL3Any,
		Method: authenticators.Smartcard, Level: authenticators.AAL3, AuthTime: noon.Add(-time.Minute)}
}

func TestClaims(t *testing.T) {
	withRole := granted("openid", "nationalrbacaccess", "associatedorgs", "selectedrole")
	withRole.Role = "555000000202"
	byTOTP := granted("openid", "profile")
	byTOTP.ACR, byTOTP.Method, byTOTP.Level, byTOTP.Nonce = AAL2OrAAL3Any, authenticators.TOTP, authenticators.AAL2, ""
	byName := withRole
	byName.Scopes = []string{"openid", "selectedrole"}
	byName.Asked = Asked{UserInfo: []string{"email", "nhsid_user_orgs"}, IDToken: []string{"name", "nhsid_nrbac_roles", "nmc_id"}}
	for name, tt := range map[string]struct {
		person Person
		grant  Grant
	}{
		"asked-by-name":          {atTwo(), byName},
		"role-that-ended":        {withoutARole(), withRole},
		"openid-alone":           {aNurse(), granted("openid")},
		"nurse-profile-email":    {aNurse(), granted("openid", "profile", "email")},
		"nurse-nhsperson":        {aNurse(), granted("openid", "nhsperson")},
		"at-two-with-role":       {atTwo(), withRole},
		"at-two-memberships":     {atTwo(), granted("openid", "organisationalmemberships")},
		"consultant":             {aConsultant(), granted("openid", "professionalmemberships")},
		"without-a-role":         {withoutARole(), granted("openid", "nationalrbacaccess", "associatedorgs", "selectedrole")},
		"barely-everything":      {barely(), granted(Scopes...)},
		"everything":             {atTwo(), granted(Scopes...)},
		"one-time-code-no-nonce": {aNurse(), byTOTP},
	} {
		t.Run("CIS2: claims of "+name, func(t *testing.T) {
			c := ClaimsFor("https://id.example", tt.person, tt.grant, noon)
			c.IDToken.ATHash = "filled in where the access token is"
			golden(t, name, c)
		})
	}
}
