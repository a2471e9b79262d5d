package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// RefreshToken implements op.Server. RFC 6749 §6, OIDC Core §12.
func (p *Provider) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	caller, err := p.caller(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	asked := idp.Rotation{Refresh: r.Data.RefreshToken, ClientID: caller.ID}
	if r.Form.Get("scope") != "" {
		asked.Scopes = strings.Fields(r.Form.Get("scope"))
	}
	g, person, tokens, err := p.Grants.Refresh(ctx, asked, p.RequestID(ctx), caller.once...)
	p.Counts.Token(string(oidc.GrantTypeRefreshToken), err)
	if p.rule(ctx, "the refresh token is live, of this client, and has the scopes", err) != nil {
		return nil, p.answer(ctx, err)
	}
	g.Nonce = "" // OIDC Core §12.2: it belonged to the first
	return p.give(ctx, "token refreshed", caller.Client, g, person, tokens)
}

// ClientCredentialsExchange implements op.Server. No scope is known that a
// client could have for itself. RFC 6749 §4.4.
func (p *Provider) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	caller, err := p.caller(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	if r.Form.Get("scope") != "" {
		return nil, p.answer(ctx, oidc.ErrInvalidScope().WithDescription("a client has no scopes of its own"))
	}
	token, err := p.Grants.Own(ctx, caller.ID, p.RequestID(ctx), caller.once...)
	p.Counts.Token(string(oidc.GrantTypeClientCredentials), err)
	if err != nil {
		return nil, p.answer(ctx, err)
	}
	p.Log.InfoContext(ctx, "token issued", "client", caller.ID)
	return op.NewResponse(tokenResponse{AccessToken: token, TokenType: oidc.BearerToken, ExpiresIn: int(idp.TokenLife.Seconds())}), nil
}

// caller is the client that VerifyClient has let in.
func (p *Provider) caller(ctx context.Context, c op.Client) (client, error) {
	caller, ok := c.(client)
	if !ok {
		return client{}, p.answer(ctx, fmt.Errorf("client of type %T", c)) // VerifyClient makes no other
	}
	return caller, nil
}

// give answers with the tokens of a grant. One signature is made, for the ID
// token.
func (p *Provider) give(ctx context.Context, what string, c idp.Client, g idp.Grant, person idp.Person, tokens idp.Issued) (*op.Response, error) {
	now := p.Logins.Now()
	answer := tokenResponse{AccessToken: tokens.Access, TokenType: oidc.BearerToken, ExpiresIn: int(g.TokenEnd(now).Sub(now).Seconds()),
		Scope: strings.Join(g.Scopes, " "), RefreshToken: tokens.Refresh}
	if strings.Contains(" "+answer.Scope+" ", " openid ") {
		claims := idp.ClaimsFor(p.Issuer, person, g, now).IDToken
		claims.ATHash = atHash(c.IDTokenAlg, tokens.Access)
		if exchanges(c) {
			claims.ID = g.NewID()
		}
		var err error
		if answer.IDToken, err = p.sign(c.IDTokenAlg, claims); err != nil {
			return nil, p.answer(ctx, err)
		}
		if exchanges(c) {
			p.proven.add(answer.IDToken)
		}
	}
	p.Log.InfoContext(ctx, what, "client", c.ID, "subject", g.Subject, "sid", g.SessionID, "acr", g.ACR) //nolint:sloglint // callers have it as a constant
	return op.NewResponse(answer), nil
}
