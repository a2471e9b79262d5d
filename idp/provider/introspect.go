package provider

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// introspection is what a client learns of a token of its own. RFC 7662 §2.2.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"` // seconds
	Subject   string   `json:"sub,omitempty"`
	Audience  string   `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"` // seconds
	ACR       idp.ACR  `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	AALevel   string   `json:"authentication_assurance_level,omitempty"`
	Role      string   `json:"selected_roleid,omitempty"`
}

// Introspect implements op.Server. Of what is not the caller's own it learns no
// more than of what was never a token.
func (p *Provider) Introspect(ctx context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	verified, err := p.VerifyClient(ctx, &op.Request[op.ClientCredentials]{Method: r.Method, URL: r.URL, Header: r.Header,
		Form: r.Form, PostForm: r.PostForm, Data: r.Data.ClientCredentials})
	if err != nil {
		return nil, err
	}
	caller, err := p.caller(ctx, verified)
	if err != nil {
		return nil, err
	}
	t, person, err := p.Grants.Introspect(ctx, r.Data.Token, caller.ID, p.RequestID(ctx), caller.once...)
	if errors.Is(err, idp.ErrToken) {
		return op.NewResponse(introspection{}), nil
	}
	if err != nil {
		return nil, p.answer(ctx, err)
	}
	g := t.Grant
	told := introspection{Active: true, Scope: strings.Join(g.Scopes, " "), ClientID: g.ClientID, Audience: g.For(),
		Issuer: p.Issuer, Subject: person.UID, SessionID: g.SessionID, Expires: t.Expires.Unix()}
	if !t.Refresh {
		told.TokenType = oidc.BearerToken
	}
	if g.Subject != "" {
		told.AuthTime, told.ACR, told.AMR = g.AuthTime.Unix(), g.ACR, []string{string(g.Method)}
		told.AALevel = strconv.Itoa(int(g.Level))
		if _, holds := person.Position(g.Role, p.Logins.Now()); holds {
			told.Role = g.Role
		}
	}
	return op.NewResponse(told), nil
}

// Revocation implements op.Server. RFC 7009 §2.
func (p *Provider) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	caller, err := p.caller(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	err = p.Grants.Revoke(ctx, r.Data.Token, caller.ID, p.RequestID(ctx), caller.once...)
	if p.rule(ctx, "the token is the client's own", err) != nil {
		return nil, p.answer(ctx, err)
	}
	return op.NewResponse(nil), nil
}
