package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// post asks an endpoint as a client with a secret.
func (c *client) post(ctx context.Context, s *site, path string, form url.Values) (answer, error) {
	return s.ask(ctx, http.MethodPost, path, http.Header{
		"Content-Type":  []string{"application/x-www-form-urlencoded"},
		"Authorization": []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.id)+":"+url.QueryEscape(c.secret)))},
	}, form.Encode())
}

// refresh gets new tokens for a refresh token.
func (c *client) refresh(ctx context.Context, s *site, token string) (tokens, error) {
	a, err := c.post(ctx, s, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	if err != nil {
		return tokens{}, err
	}
	t, err := c.request().accept(ctx, s, a)
	if err == nil && t.refresh == "" {
		err = errors.New("there is no refresh token after a refresh")
	}
	return t, err
}

// What a token is that is exchanged for an access token. RFC 8693 §3, and ours.
const (
	anIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	anAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	anSSOToken    = "urn:lanyard:token-type:cis1-sso"
)

// exchange gives a token of that kind for an access token, and returns that.
func (c *client) exchange(ctx context.Context, s *site, token, kind string) (string, error) {
	a, err := c.post(ctx, s, "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {token}, "subject_token_type": {kind}, "scope": {"openid profile"}})
	if err != nil {
		return "", err
	}
	var said struct {
		Access string `json:"access_token"`
	}
	if json.Unmarshal(a.body, &said) != nil || a.status != http.StatusOK || said.Access == "" {
		return "", problem("exchange "+kind, a)
	}
	s.hears("access token", said.Access)
	return said.Access, nil
}

// introspect asks whether an access token lives.
func (c *client) introspect(ctx context.Context, s *site, token string) error {
	a, err := c.post(ctx, s, "/introspect", url.Values{"token": {token}})
	if err != nil {
		return err
	}
	var said struct {
		Active bool `json:"active"`
	}
	if json.Unmarshal(a.body, &said) != nil || !said.Active {
		return problem("introspect a token that lives", a)
	}
	return nil
}

// mostRefreshes is after how many a family is given up for a new sign-in: a
// server bounds how often one is refreshed.
const mostRefreshes = 700

// granted is a sign-in whose tokens are worked with.
type granted struct {
	tokens    tokens
	refreshed int
}

// later are the operations on the tokens of sign-ins, by a client that may do
// all of it. Those who sign in do so before.
func (b *bench) later(alg string) []operation {
	w, c := b.world, b.world.client(worker(alg), nil)
	s, held := w.site(), make(chan granted, len(w.crowd.holders))
	signIn := func(ctx context.Context, n int) (granted, error) {
		r, err := w.flow(n, c).run(ctx)
		return granted{tokens: r.tokens}, err
	}
	ready := func(ctx context.Context) error { // whichever of them is first
		for n := range cap(held) - len(held) {
			g, err := signIn(ctx, n)
			if err != nil {
				return err
			}
			held <- g
		}
		return nil
	}
	refresh := operation{name: "refresh, " + alg, budget: map[string]float64{"ES256": 0.3, "RS256": 1.3}[alg], before: ready, do: func(ctx context.Context, n int) (err error) {
		g := <-held
		defer func() { held <- g }()
		if g.refreshed >= mostRefreshes {
			if g, err = signIn(ctx, n); err != nil {
				return err
			}
		}
		g.tokens, err = c.refresh(ctx, s, g.tokens.refresh)
		g.refreshed++
		return err
	}}
	budget := map[string]float64{"ES256": 0.4, "RS256": 1.4}[alg]
	exchange := func(name, kind string, of func(tokens) string) operation {
		return operation{name: name + ", " + alg, budget: budget, before: ready, do: func(ctx context.Context, _ int) error {
			g := <-held
			defer func() { held <- g }()
			_, err := c.exchange(ctx, s, of(g.tokens), kind)
			return err
		}}
	}
	sso := &ssoTokens{world: w}
	all := []operation{refresh,
		exchange("token exchange", anIDToken, func(t tokens) string { return t.id }),
		exchange("token exchange of an access token", anAccessToken, func(t tokens) string { return t.access }),
		{name: "token exchange of an SSO token, " + alg, budget: budget, before: func(ctx context.Context) error { return sso.makeSome(ctx, enoughTokens) }, do: func(ctx context.Context, _ int) error {
			token, err := sso.take()
			if err != nil {
				return err
			}
			_, err = c.exchange(ctx, s, token, anSSOToken)
			return err
		}},
	}
	if alg != "ES256" {
		return all
	}
	return append(all, operation{name: "introspection", budget: 0.13, before: ready, do: func(ctx context.Context, _ int) error {
		g := <-held
		defer func() { held <- g }()
		return c.introspect(ctx, s, g.tokens.access)
	}})
}
