package provider

import (
	"context"

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

	// Neither is offered, and the library's type leaves out what is false.
	ClaimsParameter  bool `json:"claims_parameter_supported"`
	RequestParameter bool `json:"request_parameter_supported"`
}

func (p *Provider) discover() discovery {
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
			ScopesSupported:                            idp.Scopes,
			ResponseTypesSupported:                     []string{"code"},
			ResponseModesSupported:                     []string{"query", "form_post"},
			GrantTypesSupported:                        grants,
			ACRValuesSupported:                         acrs,
			SubjectTypesSupported:                      []string{"public"},
			IDTokenSigningAlgValuesSupported:           p.SigningKeys.Algs(),
			TokenEndpointAuthMethodsSupported:          []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodPrivateKeyJWT, oidc.AuthMethodNone},
			TokenEndpointAuthSigningAlgValuesSupported: idp.AssertionAlgs,
			ClaimTypesSupported:                        []string{"normal"},
			ClaimsSupported:                            claims,
			UILocalesSupported:                         oidc.ParseLocales(p.Languages),
			CodeChallengeMethodsSupported:              []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		IssInResponse: true,
	}
}

// grants are what the token endpoint answers.
var grants = []oidc.GrantType{oidc.GrantTypeCode}

// claims are the names of every claim that a client can get.
var claims = []string{
	"iss", "sub", "subname", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
	"authentication_assurance_level", "id_assurance_level", "idassurancelevel", "selected_roleid",
	"uid", "name", "given_name", "family_name", "email",
	"nhsid_useruid", "title", "initials", "middle_names", "display_name",
	"gmc_id", "nmc_id", "gdc_id", "gphc_id", "gmp_id", "gdp_id", "rcn_id", "consultant_id",
	"nhsid_user_orgs", "nhsid_org_roles", "nhsid_org_memberships", "nhsid_nrbac_roles",
}

// Discovery implements op.Server. OIDC Discovery §4.
func (p *Provider) Discovery(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(p.discovery), nil
}

// Keys implements op.Server: the public keys, of which RFC 7517 §5 speaks.
func (p *Provider) Keys(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(p.jwks), nil
}
