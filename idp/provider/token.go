package provider

import (
	"context"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// tokenResponse is what the token endpoint answers. RFC 6749 §5.1, OIDC Core
// §3.1.3.3.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope,omitempty"`
	IDToken     string `json:"id_token,omitempty"`

	RefreshToken string `json:"refresh_token,omitempty"`
}

// CodeExchange implements op.Server. The client is known by now, and the
// library has checked that it may use this grant.
func (p *Provider) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	caller, err := p.caller(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	c := caller.Client
	g, person, tokens, err := p.Grants.Redeem(ctx, idp.Redemption{
		Code: r.Data.Code, ClientID: c.ID, RedirectURI: r.Data.RedirectURI, Verifier: r.Data.CodeVerifier,
		Renews: slices.Contains(c.Grants, string(oidc.GrantTypeRefreshToken)), Exchanges: exchanges(c),
	}, p.RequestID(ctx), caller.once...)
	p.Counts.Token("authorization_code", err)
	if p.rule(ctx, "the code is live, and of this client, redirect_uri and code_verifier", err) != nil {
		return nil, p.answer(ctx, err)
	}
	return p.give(ctx, "token issued", c, g, person, tokens)
}
