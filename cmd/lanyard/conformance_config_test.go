package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"

	"github.com/lanyard-id/lanyard/idp/provider"
)

// registeredMetadata is what may stand in a discovery document, as it is
// registered by OIDC Discovery, RFC 8414, RFC 9207 and the specifications of
// logout, and of which kind it is.
var registeredMetadata = map[string]string{
	"issuer": "address", "authorization_endpoint": "address", "token_endpoint": "address", "userinfo_endpoint": "address", "jwks_uri": "address",
	"introspection_endpoint": "address", "revocation_endpoint": "address", "end_session_endpoint": "address", "service_documentation": "address",

	"scopes_supported": "list", "response_types_supported": "list", "response_modes_supported": "list", "grant_types_supported": "list",
	"acr_values_supported": "list", "subject_types_supported": "list", "id_token_signing_alg_values_supported": "list",
	"userinfo_signing_alg_values_supported": "list", "token_endpoint_auth_methods_supported": "list",
	"token_endpoint_auth_signing_alg_values_supported": "list", "introspection_endpoint_auth_methods_supported": "list",
	"introspection_endpoint_auth_signing_alg_values_supported": "list", "revocation_endpoint_auth_methods_supported": "list",
	"revocation_endpoint_auth_signing_alg_values_supported": "list", "display_values_supported": "list", "claim_types_supported": "list",
	"claims_supported": "list", "claims_locales_supported": "list", "ui_locales_supported": "list", "code_challenge_methods_supported": "list",

	"claims_parameter_supported": "truth", "request_parameter_supported": "truth", "request_uri_parameter_supported": "truth",
	"require_request_uri_registration": "truth", "authorization_response_iss_parameter_supported": "truth",
	"backchannel_logout_supported": "truth", "backchannel_logout_session_supported": "truth",
	"frontchannel_logout_supported": "truth", "frontchannel_logout_session_supported": "truth",
}

// TestConformanceConfig is the plan oidcc-config-certification-test-plan, at a
// service with an https issuer.
func TestConformanceConfig(t *testing.T) {
	for layout, path := range map[provider.Layout]string{provider.Standard: "", provider.CIS2: provider.CIS2Path} {
		t.Run(string(layout), func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			server.StartTLS()
			t.Cleanup(server.Close)
			p := aParts(t, server.URL+path, time.Now, aMiniredis(t))
			p.layout = layout
			server.Config.Handler = p.withVirtualCards(t).pages.Routes()
			t.Run("oidcc-discovery-endpoint-verification", func(t *testing.T) { examDiscovery(t, server.Client(), server.URL+path) })
		})
	}
}

func examDiscovery(t *testing.T, client *http.Client, issuer string) {
	t.Helper()
	var d metadata
	fetchJSON(t, client, issuer+"/.well-known/openid-configuration", &d)
	if d["issuer"] != issuer {
		t.Errorf("the issuer is %v, and was asked for as %s", d["issuer"], issuer)
	}
	for name, value := range d {
		kind, known := registeredMetadata[name]
		if !known || !isOfKind(kind, value) {
			t.Errorf("%s is %v: what is registered is %q", name, value, kind)
		}
		if kind == "address" && !strings.HasPrefix(d.text(name), issuer) {
			t.Errorf("%s is %v, which is not below the issuer", name, value)
		}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		if d.text(name) == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for name, wanted := range map[string][]string{
		"response_types_supported": {"code"}, "subject_types_supported": {"public"}, "id_token_signing_alg_values_supported": {"RS256"},
		"scopes_supported": {"openid"}, "claims_supported": {"sub", "iss", "auth_time", "acr"}, "grant_types_supported": {"authorization_code"},
		"code_challenge_methods_supported": {"S256"}, "response_modes_supported": {"query", "form_post"},
		"token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "private_key_jwt"},
	} {
		for _, value := range wanted {
			if !slices.Contains(d.list(name), value) {
				t.Errorf("%s is %v, and lacks %s", name, d[name], value)
			}
		}
	}
	examSpelling(t, d)
	examKeys(t, client, d.text("jwks_uri"))
}

// examSpelling holds values to their letters, and to what no value may be.
func examSpelling(t *testing.T, d metadata) {
	t.Helper()
	scope := regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`) // RFC 6749 appendix A.4
	for _, s := range d.list("scopes_supported") {
		if !scope.MatchString(s) {
			t.Errorf("%q is no scope", s)
		}
	}
	for _, s := range append(d.list("ui_locales_supported"), d.list("claims_locales_supported")...) {
		if tag, err := language.Parse(s); err != nil || tag.String() != s {
			t.Errorf("the language %q is written %s, %v", s, tag, err)
		}
	}
	for name := range d {
		for _, s := range d.list(name) {
			if strings.Contains(name, "_alg_") && (s == "none" || strings.HasPrefix(s, "HS")) || name == "code_challenge_methods_supported" && s == "plain" {
				t.Errorf("%s has %s", name, s)
			}
		}
	}
}

func isOfKind(kind string, value any) bool {
	switch kind {
	case "truth":
		_, ok := value.(bool)
		return ok
	case "list":
		values, ok := value.([]any)
		return ok && len(values) > 0 && !slices.ContainsFunc(values, func(v any) bool { s, ok := v.(string); return !ok || s == "" })
	case "address":
		s, ok := value.(string)
		u, err := url.Parse(s)
		return ok && err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	}
	return false
}

// examKeys holds the published keys to be public, apart and well made.
func examKeys(t *testing.T, client *http.Client, address string) {
	t.Helper()
	var set struct{ Keys []map[string]any }
	fetchJSON(t, client, address, &set)
	members := map[string][]string{"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
	seen := map[any]bool{}
	for _, key := range set.Keys {
		kid, _ := key["kid"].(string)
		kty, _ := key["kty"].(string)
		if kid == "" || seen[kid] || key["use"] != "sig" || members[kty] == nil {
			t.Errorf("the key %v, of %v", key, seen)
		}
		seen[kid] = true
		for _, name := range members[kty] {
			s, _ := key[name].(string)
			if b, err := base64.RawURLEncoding.Strict().DecodeString(s); name != "crv" && (err != nil || len(b) == 0) {
				t.Errorf("%s of %s is %q: %v", name, kid, s, err)
			}
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, has := key[private]; has {
				t.Errorf("the key %s is published with its %s", kid, private)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("there are no keys")
	}
}

// fetchJSON reads what an address answers into v.
func fetchJSON(t *testing.T, client *http.Client, address string, v any) {
	t.Helper()
	resp, err := client.Do(request(t, http.MethodGet, address, nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "application/json") {
		t.Fatalf("%s: %d, %s", address, resp.StatusCode, kind)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
}
