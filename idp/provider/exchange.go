package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// The kinds of tokens that an exchange knows. RFC 8693 §3.
const (
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token" //nolint:gosec // a name
	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"     //nolint:gosec // a name
	ssoTokenType    = "urn:lanyard:token-type:cis1-sso"               //nolint:gosec // likewise; ours, for what the old service gives
)

// exchanged is what the token endpoint answers to an exchange. RFC 8693 §2.2.1.
type exchanged struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int    `json:"expires_in"` // seconds
	Scope           string `json:"scope"`
}

// orExchange answers an exchange, and leaves every other grant to the library.
// Its own exchange wants to be told of the kinds of tokens by a variable of its
// package, and forgets who signed in how and when.
func (p *Provider) orExchange(library http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if oidc.GrantType(r.PostForm.Get("grant_type")) != oidc.GrantTypeTokenExchange {
			library.ServeHTTP(w, r)
			return
		}
		answer, err := p.exchange(r)
		if err != nil {
			op.WriteError(w, r, err, nil)
			return
		}
		httphelper.MarshalJSON(w, answer)
	})
}

// exchange gives a client another token for one of its own. RFC 8693 §2.
func (p *Provider) exchange(r *http.Request) (*exchanged, error) {
	ctx := r.Context()
	caller, err := p.exchanger(r)
	if err != nil {
		return nil, err
	}
	asked, err := p.readExchange(r.PostForm)
	if p.rule(ctx, "the exchange is one that is offered", err) != nil {
		return nil, p.answer(ctx, err)
	}
	asked.ClientID = caller.ID
	made, err := p.Grants.Exchange(ctx, asked, p.RequestID(ctx), caller.once...)
	p.Counts.Token(string(oidc.GrantTypeTokenExchange), err)
	if p.rule(ctx, "the subject token is live and the client's, and nothing more is asked for", err) != nil {
		return nil, p.answer(ctx, err)
	}
	g := made.Grant
	p.Log.InfoContext(ctx, "token exchanged", "client", g.ClientID, "audience", g.For(), "subject", g.Subject, "sid", g.SessionID, "acr", g.ACR)
	return &exchanged{AccessToken: made.Access, IssuedTokenType: accessTokenType, TokenType: oidc.BearerToken,
		ExpiresIn: int(made.Expires.Sub(p.Logins.Now()).Seconds()), Scope: strings.Join(g.Scopes, " ")}, nil
}

// exchanger is the client that asks, which has proved itself and may exchange.
func (p *Provider) exchanger(r *http.Request) (client, error) {
	ctx, form := r.Context(), r.PostForm
	said := &op.ClientCredentials{ClientID: form.Get("client_id"), ClientSecret: form.Get("client_secret"),
		ClientAssertion: form.Get("client_assertion"), ClientAssertionType: form.Get("client_assertion_type")}
	if id, secret, ok := r.BasicAuth(); ok { // unsaid has seen that both can be read
		said.ClientID, _ = url.QueryUnescape(id)
		said.ClientSecret, _ = url.QueryUnescape(secret)
	}
	verified, err := p.VerifyClient(ctx, &op.Request[op.ClientCredentials]{Method: r.Method, URL: r.URL, Header: r.Header,
		Form: r.Form, PostForm: r.PostForm, Data: said})
	if err != nil {
		return client{}, err
	}
	caller, err := p.caller(ctx, verified)
	if err != nil {
		return client{}, err
	}
	// A public client proves nothing of itself, so its registration allows
	// nothing that a stranger could not ask for.
	if !exchanges(caller.Client) || caller.Client.AuthMethod == idp.NoAuth {
		return client{}, p.answer(ctx, oidc.ErrUnauthorizedClient().WithDescription("the client is not registered for token exchange, or cannot prove itself"))
	}
	return caller, nil
}

// exchanges says whether c may exchange tokens.
func exchanges(c idp.Client) bool {
	return slices.Contains(c.Grants, string(oidc.GrantTypeTokenExchange))
}

// readExchange reads what is asked for. What is not offered is refused by its
// name: passing over it would give another token than was meant.
func (p *Provider) readExchange(form url.Values) (idp.Exchange, error) {
	invalid := func(why string) error { return oidc.ErrInvalidRequest().WithDescription("%s", why) }
	token, kind := form.Get("subject_token"), form.Get("subject_token_type")
	switch wanted := form.Get("requested_token_type"); {
	case token == "" || kind == "":
		return idp.Exchange{}, invalid("subject_token and subject_token_type are required")
	case kind != accessTokenType && kind != idTokenType && (kind != ssoTokenType || p.Grants.SSO == nil):
		return idp.Exchange{}, invalid("subject_token_type must be that of an access token or of an ID token")
	case wanted != "" && wanted != accessTokenType:
		return idp.Exchange{}, invalid("requested_token_type must be that of an access token")
	case form.Has("actor_token") || form.Has("actor_token_type"):
		return idp.Exchange{}, invalid("actor_token is not supported")
	case form.Has("resource"):
		return idp.Exchange{}, errTarget("resource is not supported: name a client as the audience")
	case len(form["audience"]) > 1:
		return idp.Exchange{}, errTarget("a token is for one audience")
	}
	e := idp.Exchange{Audience: form.Get("audience")}
	if form.Get("scope") != "" {
		e.Scopes = strings.Fields(form.Get("scope"))
	}
	switch kind {
	case accessTokenType:
		e.Token = token
		return e, nil
	case ssoTokenType:
		e.SSOToken = token
		return e, nil
	}
	claims, err := p.verify(token)
	if err != nil || claims.Issuer != p.Issuer {
		return e, idp.ErrSubject
	}
	e.IDToken = &claims
	return e, nil
}

func errTarget(why string) error { return &oidc.Error{ErrorType: invalidTarget, Description: why} }

// invalidTarget is RFC 8693 §2.2.2's word.
const invalidTarget = "invalid_target"
