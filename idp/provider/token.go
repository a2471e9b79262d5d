package provider

import (
	"context"
	"fmt"
	"strings"

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
	Scope       string `json:"scope"`
	IDToken     string `json:"id_token"`
}

// CodeExchange implements op.Server. The client is known by now, and the
// library has checked that it may use this grant. One signature is made, for
// the ID token.
func (p *Provider) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	caller, ok := r.Client.(client)
	if !ok {
		return nil, p.answer(ctx, fmt.Errorf("client of type %T", r.Client)) // VerifyClient makes no other
	}
	c := caller.Client
	g, person, token, err := p.Grants.Redeem(ctx, idp.Redemption{
		Code: r.Data.Code, ClientID: c.ID, RedirectURI: r.Data.RedirectURI, Verifier: r.Data.CodeVerifier,
	}, p.RequestID(ctx), caller.once...)
	p.Counts.Token("authorization_code", err)
	if p.rule(ctx, "the code is live, and of this client, redirect_uri and code_verifier", err) != nil {
		return nil, p.answer(ctx, err)
	}

	claims := idp.ClaimsFor(p.Issuer, person, g, p.Logins.Now()).IDToken
	claims.ATHash = atHash(c.IDTokenAlg, token)
	idToken, err := p.sign(c.IDTokenAlg, claims)
	if err != nil {
		return nil, p.answer(ctx, err)
	}

	p.Log.InfoContext(ctx, "token issued", "client", c.ID, "subject", g.Subject, "sid", g.SessionID, "acr", g.ACR)
	return op.NewResponse(tokenResponse{
		AccessToken: token, TokenType: oidc.BearerToken, ExpiresIn: int(idp.TokenLife.Seconds()),
		Scope: strings.Join(g.Scopes, " "), IDToken: idToken,
	}), nil
}
