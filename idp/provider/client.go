package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// VerifyClient implements op.Server: it authenticates the caller of the token
// endpoint by the one method that the client is registered for (RFC 6749
// §2.3). Whatever is wrong, the answer is the same, so that a stranger does
// not learn which clients there are.
func (p *Provider) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	id := r.Data.ClientID
	if id == "" {
		id = claimed(r.Data.ClientAssertion) // RFC 7521 §4.2: client_id may be left out beside an assertion
	}
	c, err := p.Clients.Client(ctx, id)
	if p.rule(ctx, "the client is registered", err, "client", c.ID) != nil {
		return nil, p.answer(ctx, err)
	}
	fences, err := p.authenticate(ctx, c, r)
	if p.rule(ctx, "it proves itself as it is registered to", err) != nil {
		return nil, p.answer(ctx, err)
	}
	return client{c, fences}, nil
}

// authenticate says nil if the request proves that it comes from c, with the
// fences of a proof that is good for once.
func (p *Provider) authenticate(ctx context.Context, c idp.Client, r *op.Request[op.ClientCredentials]) ([]idp.Fence, error) {
	if came := used(r); came != c.AuthMethod {
		return nil, wrong("authentication method", string(came), string(c.AuthMethod))
	}
	switch c.AuthMethod {
	case idp.SecretBasic, idp.SecretPost:
		return nil, p.checkSecret(ctx, c, r.Data.ClientSecret)
	case idp.PrivateKeyJWT:
		fence, err := p.checkAssertion(ctx, c, r.Data)
		return []idp.Fence{fence}, err
	case idp.NoAuth: // a public client proves itself by its code verifier
		return nil, nil
	}
	return nil, idp.ErrClientUnknown
}

// claimed returns who an assertion says it is from. It decides nothing: the
// signature must fit that client's keys.
func claimed(assertion string) string {
	_, rest, _ := strings.Cut(assertion, ".")
	payload, _, _ := strings.Cut(rest, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || len(assertion) > maxAssertion {
		return ""
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(b, &c) != nil {
		return ""
	}
	return c.Issuer
}

// used says which method a request used. RFC 6749 §2.3.1.
func used(r *op.Request[op.ClientCredentials]) idp.AuthMethod {
	switch {
	case r.Data.ClientAssertion != "":
		return idp.PrivateKeyJWT
	case r.Header.Get("Authorization") != "":
		return idp.SecretBasic
	case r.Form.Has("client_secret"):
		return idp.SecretPost
	}
	return idp.NoAuth
}

// client shows an idp.Client to the library. It asks a client about grants
// only: what is about redirects, scopes and lives is decided in package idp.
type client struct {
	idp.Client
	once []idp.Fence // what this request used up if it succeeds: its assertion
}

// GetID implements op.Client, and so do the methods below.
func (c client) GetID() string { return c.ID }

// GrantTypes are what the library checks grant_type against. RFC 6749 §5.2.
func (c client) GrantTypes() []oidc.GrantType {
	var grants []oidc.GrantType
	for _, g := range c.Grants {
		grants = append(grants, oidc.GrantType(g))
	}
	return grants
}

func (c client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethod(c.Client.AuthMethod) }
func (c client) RedirectURIs() []string              { return c.Client.RedirectURIs }
func (c client) PostLogoutRedirectURIs() []string    { return c.Client.PostLogoutRedirectURIs }
func (c client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c client) LoginURL(string) string                                       { return "" }
func (c client) AccessTokenType() op.AccessTokenType                          { return op.AccessTokenTypeBearer }
func (c client) IDTokenLifetime() time.Duration                               { return idp.TokenLife }
func (c client) DevMode() bool                                                { return false }
func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string     { return none }
func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return none }
func (c client) IsScopeAllowed(scope string) bool                             { return slices.Contains(c.Scopes, scope) }
func (c client) IDTokenUserinfoClaimsAssertion() bool                         { return false }
func (c client) ClockSkew() time.Duration                                     { return 0 }

func none([]string) []string { return nil }
