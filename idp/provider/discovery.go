package provider

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// discovery is the provider's metadata. It tells the truth: what it lists
// works, and what works is listed.
type discovery struct {
	oidc.DiscoveryConfiguration

	// IssInResponse is of RFC 9207 §3, which the library's type lacks.
	IssInResponse bool `json:"authorization_response_iss_parameter_supported"`

	// The library's type leaves out what is false, and request is not offered.
	ClaimsParameter  bool `json:"claims_parameter_supported"`
	RequestParameter bool `json:"request_parameter_supported"`
}

func (p *Provider) discover(algs []string) discovery {
	var acrs []string
	for _, a := range idp.ACRs(p.Logins.Ways) {
		acrs = append(acrs, string(a))
	}
	return discovery{
		DiscoveryConfiguration: oidc.DiscoveryConfiguration{
			Issuer:                                     p.Issuer,
			AuthorizationEndpoint:                      p.at(p.paths.authorize),
			TokenEndpoint:                              p.at(p.paths.token),
			UserinfoEndpoint:                           p.at(p.paths.userinfo),
			JwksURI:                                    p.at(p.paths.keys),
			IntrospectionEndpoint:                      p.at(p.paths.introspect),
			RevocationEndpoint:                         p.at(p.paths.revoke),
			EndSessionEndpoint:                         p.at(p.paths.endSession),
			BackChannelLogoutSupported:                 true,
			BackChannelLogoutSessionSupported:          true,
			ScopesSupported:                            idp.Scopes,
			ResponseTypesSupported:                     []string{"code"},
			ResponseModesSupported:                     []string{"query", "form_post"},
			GrantTypesSupported:                        grants,
			ACRValuesSupported:                         acrs,
			SubjectTypesSupported:                      []string{"public"},
			IDTokenSigningAlgValuesSupported:           algs,
			UserinfoSigningAlgValuesSupported:          algs,
			TokenEndpointAuthMethodsSupported:          []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodPrivateKeyJWT, oidc.AuthMethodNone},
			TokenEndpointAuthSigningAlgValuesSupported: idp.AssertionAlgs,

			IntrospectionEndpointAuthMethodsSupported:          []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodPrivateKeyJWT},
			IntrospectionEndpointAuthSigningAlgValuesSupported: idp.AssertionAlgs,
			RevocationEndpointAuthMethodsSupported:             []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodPrivateKeyJWT, oidc.AuthMethodNone},
			RevocationEndpointAuthSigningAlgValuesSupported:    idp.AssertionAlgs,
			ClaimTypesSupported:                                []string{"normal"},
			ClaimsSupported:                                    claims,
			UILocalesSupported:                                 oidc.ParseLocales(p.Languages),
			CodeChallengeMethodsSupported:                      []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		IssInResponse:   true,
		ClaimsParameter: true,
	}
}

// grants are what the token endpoint answers.
var grants = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken, oidc.GrantTypeClientCredentials, oidc.GrantTypeTokenExchange}

// claims are the names of every claim that a client can get.
var claims = []string{
	"iss", "jti", "sub", "subname", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
	"authentication_assurance_level", "id_assurance_level", "idassurancelevel", "selected_roleid",
	"uid", "name", "given_name", "family_name", "email",
	"nhsid_useruid", "title", "initials", "middle_names", "display_name",
	"gmc_id", "nmc_id", "gdc_id", "gphc_id", "gmp_id", "gdp_id", "rcn_id", "consultant_id",
	"nhsid_user_orgs", "nhsid_org_roles", "nhsid_org_memberships", "nhsid_nrbac_roles",
}

// document is JSON that many clients ask for and that seldom changes.
type document struct {
	body json.RawMessage
	etag string
}

func newDocument(content any) (document, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return document{}, err
	}
	sum := sha256.Sum256(body)
	return document{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

// serve answers with the document that holds now, which caches may keep for
// maxAge.
func (p *Provider) serve(which func(*signing) document, maxAge time.Duration) http.HandlerFunc {
	keep := fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds()))
	return func(w http.ResponseWriter, r *http.Request) {
		now, err := p.signing()
		if err != nil {
			op.WriteError(w, r, p.answer(r.Context(), err), nil)
			return
		}
		d := which(now)
		w.Header().Set("Cache-Control", keep)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", d.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
	}
}

// metadata is what the discovery endpoint answers. OIDC Discovery §4.
func metadata(s *signing) document { return s.discovery }

// publicKeys is what the keys endpoint answers. RFC 7517 §5.
func publicKeys(s *signing) document { return s.jwks }
