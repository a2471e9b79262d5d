package idp

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestReadClaimsRequest(t *testing.T) {
	for _, tt := range []struct {
		rule, text string
		want       ClaimsRequest
	}{
		{"OIDC Core §5.5: each by its name, in the two places that there are", `{"userinfo":{"given_name":{"essential":true},"email":null,"name":{}},"id_token":{"title":{"value":"Dr"}}}`,
			ClaimsRequest{Asked: Asked{UserInfo: []string{"email", "given_name", "name"}, IDToken: []string{"title"}}}},
		{"OIDC Core §5.5: claims and members that nobody knows are passed over", `{"userinfo":{"shoe_size":null,"email#cy":null,"picture":5,"sub":null,"iss":null,"":null},"id_token":{"auth_time":{"essential":true}},"verified_claims":[1],"x":null}`,
			ClaimsRequest{}},
		{"OIDC Core §5.5: nothing is asked for", `{}`, ClaimsRequest{}},
		{"OIDC Core §5.5: nor here", `{"userinfo":null,"id_token":{}}`, ClaimsRequest{}},
		{"OIDC Core §5.5.1.1: an acr that must be", `{"id_token":{"acr":{"essential":true,"values":["AAL3_FIDO2","AAL3_ANY"]}}}`,
			ClaimsRequest{ACRs: []ACR{AAL3FIDO2, AAL3Any}, Essential: true}},
		{"OIDC Core §5.5.1.1: one by value, which might be", `{"id_token":{"acr":{"value":"urn:x"}}}`, ClaimsRequest{ACRs: []ACR{"urn:x"}}},
		{"OIDC Core §5.5.1.1: some acr, which there always is", `{"id_token":{"acr":{"essential":true}}}`, ClaimsRequest{}},
		{"OIDC Core §5.5.1: one person, in both places", `{"id_token":{"sub":{"value":"555000000101"}},"userinfo":{"sub":{"values":["555000000101"]}}}`,
			ClaimsRequest{Subjects: []string{"555000000101"}}},
		{"OIDC Core §5.5.1: two people", `{"id_token":{"sub":{"value":"1"}},"userinfo":{"sub":{"value":"2"}}}`, ClaimsRequest{Subjects: []string{"1", "2"}}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, err := ReadClaimsRequest(tt.text); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	for _, text := range []string{"", "null", "5", "[]", `"x"`, `{`, `{"userinfo":[]}`, `{"userinfo":5}`, `{"id_token":{"acr":5}}`, `{"id_token":{"acr":{"value":5}}}`, `{"id_token":{"acr":{"values":"x"}}}`,
		`{"id_token":{"acr":{"essential":"yes"}}}`, `{"userinfo":{"sub":{"values":[1]}}}`, `{} {}`, `{"x":"` + strings.Repeat("x", MaxClaimsRequest) + `"}`, strings.Repeat(`{"x":`, 1000)} {
		t.Run("OIDC Core §5.5: what cannot be read is no request", func(t *testing.T) {
			if got, err := ReadClaimsRequest(text); !errors.Is(err, errClaims) {
				t.Errorf("%.40q: %+v, %v", text, got, err)
			}
		})
	}
}

func TestAskedByName(t *testing.T) {
	t.Run("OIDC Core §5.5: every claim of userinfo can be asked for by its name, and comes as its scope would give it", func(t *testing.T) {
		everybody := atTwo()
		everybody.Professional = aConsultant().Professional
		for _, scope := range Scopes {
			given := members(t, ClaimsFor("https://id.example", everybody, granted("openid", scope), noon).UserInfo)
			for name, value := range given {
				if name == "sub" {
					continue
				}
				g := granted("openid")
				g.Asked.UserInfo = []string{name}
				got := members(t, ClaimsFor("https://id.example", everybody, g, noon).UserInfo)
				if byName[name].scope != scope || !reflect.DeepEqual(got, map[string]any{"sub": given["sub"], name: value}) {
					t.Errorf("%s of %s by its name: %v, want %v", name, scope, got, value)
				}
			}
		}
	})
	t.Run("P7: no name gets a claim whose scope the client is not registered for", func(t *testing.T) {
		asked := Asked{UserInfo: []string{"email", "name"}, IDToken: []string{"nhsid_nrbac_roles", "title"}}
		want := Asked{UserInfo: []string{"name"}, IDToken: []string{"title"}}
		if got := (Client{Scopes: []string{"openid", "profile", "nhsperson"}}).Learns(asked); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got := (Client{}).Learns(asked); len(got.UserInfo)+len(got.IDToken) != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("CIS2: what the ID token says by itself is not said otherwise by what is asked for", func(t *testing.T) {
		g := granted("openid")
		g.Asked.IDToken = []string{"idassurancelevel", "uid"}
		got, without := members(t, ClaimsFor("https://id.example", aNurse(), g, noon).IDToken), members(t, ClaimsFor("https://id.example", aNurse(), granted("openid"), noon).IDToken)
		without["uid"] = aNurse().UID
		if !reflect.DeepEqual(got, without) {
			t.Errorf("%v, want %v", got, without)
		}
	})
}

// members are the members of v as a client reads them.
func members(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// FuzzClaimsRequest: whatever comes is read without a panic, and only claims
// that there are stay of it.
func FuzzClaimsRequest(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"userinfo":{"name":{"essential":true,"values":[]}},"id_token":{"acr":{"essential":true,"value":"AAL3_ANY"},"sub":{"value":"555000000101"}}}`, `{"id_token":{"acr":{"values":[1]}}}`, "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ReadClaimsRequest(text)
		if err != nil {
			return
		}
		for _, name := range slices.Concat(r.UserInfo, r.IDToken) {
			if byName[name].put == nil {
				t.Errorf("%q stays", name)
			}
		}
		if len(r.UserInfo) > len(byName) || len(r.IDToken) > len(byName) || r.Essential && len(r.ACRs) == 0 {
			t.Errorf("%+v", r)
		}
	})
}
