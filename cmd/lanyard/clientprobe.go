package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// tryAuthorize asks for a code by each redirect URI, without a page: whoever
// is told that nobody is signed in has everything else right.
func (s *application) tryAuthorize(ctx context.Context) {
	modes := []string{"query"}
	if slices.Contains(s.ResponseModes, "form_post") {
		modes = append(modes, "form_post")
	}
	for _, uri := range s.RedirectURIs {
		if what, _ := addressFault(uri); what != "" {
			continue // which was said
		}
		for _, mode := range modes {
			if !s.tryRedirect(ctx, uri, mode) {
				break // another mode would say the same
			}
		}
	}
}

// tryRedirect says whether the provider knows the client by that address.
func (s *application) tryRedirect(ctx context.Context, uri, mode string) (known bool) {
	scopes := s.Scopes
	if len(scopes) == 0 {
		scopes = []string{"openid"}
	}
	state := idp.NewSecret()
	q := url.Values{"client_id": {s.ID}, "redirect_uri": {uri}, "response_type": {"code"}, "scope": {strings.Join(scopes, " ")}, "state": {state},
		"nonce": {idp.NewSecret()}, "prompt": {"none"}, "code_challenge": {idp.Challenge(idp.NewSecret())}, "code_challenge_method": {"S256"}}
	if s.acrs != "" {
		q.Set("acr_values", s.acrs)
	}
	if mode != "query" {
		q.Set("response_mode", mode)
	}
	sep := "?"
	if strings.Contains(s.fetched.Authorize, "?") {
		sep = "&"
	}
	note := func(v verdict, what, do string) {
		s.examiner.note(v, "authorize", fmt.Sprintf("by %.100q, %s: %s", uri, mode, what), do)
	}
	resp, body, err := s.get(ctx, s.fetched.Authorize+sep+q.Encode()) //nolint:bodyclose // do has read and closed it
	if err != nil {
		note(fail, firstLine(err), "see that the authorization endpoint can be reached")
		return false
	}
	to := resp.Header.Get("Location")
	switch {
	case to == uri || strings.HasPrefix(to, uri+"?") || strings.HasPrefix(to, uri+"&"):
		s.readRedirect(note, uri, to, state)
	case to != "" || mode == "form_post" && resp.StatusCode == http.StatusOK && strings.Contains(string(body), "<form"):
		note(fine, "the provider knows it", "") // and would show a page of its own next, or posts its answer
	default:
		note(fail, fmt.Sprintf("the provider answers %s to the person, and sends them nowhere", resp.Status),
			"it knows no such client, or not with this redirect URI, which is compared to the letter: register both")
		return false
	}
	return true
}

// readRedirect reads what the provider would have told the application.
func (s *application) readRedirect(note func(verdict, string, string), uri, to, state string) {
	u, err := url.Parse(to)
	if err != nil {
		note(fail, "what comes back cannot be read", "")
		return
	}
	q := u.Query()
	if q.Get("state") != state {
		note(fail, "the state does not come back", "ask whoever runs the provider")
	}
	if iss := q.Get("iss"); iss != "" && iss != s.fetched.Issuer {
		note(fail, fmt.Sprintf("iss is %.200q", iss), "ask whoever runs the provider: RFC 9207 §2")
	}
	switch code, why := q.Get("error"), q.Get("error_description"); code {
	case "", "login_required", "interaction_required", "consent_required", "account_selection_required":
		note(fine, "the provider knows it, and would go on", "")
	case "temporarily_unavailable", "server_error":
		note(warn, code+" "+why, "try again later")
	case "invalid_scope":
		note(fail, code+": "+why, "register every scope of: "+strings.Join(s.Scopes, " "))
	case "unmet_authentication_requirements":
		note(fail, code+": "+why, "see acr_allowed and min_level of the registration, and acr_values_supported")
	case "unauthorized_client":
		note(fail, code+": "+why, "register the grant authorization_code")
	default:
		note(fail, code+": "+why, "see docs/claims.md")
	}
}

// tryToken shows the token endpoint a code that is none: a client that has
// proved itself is told so, and any other is told nothing.
func (s *application) tryToken(ctx context.Context, keys []jose.JSONWebKey) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"none"}, "redirect_uri": {s.ID}, "code_verifier": {idp.NewSecret()}, "client_id": {s.ID}}
	if len(s.RedirectURIs) > 0 {
		form.Set("redirect_uri", s.RedirectURIs[0])
	}
	switch {
	case s.AuthMethod == idp.NoAuth:
		s.askToken(ctx, "without a proof", form, nil)
	case s.AuthMethod == idp.PrivateKeyJWT && s.key != "":
		s.tryAssertions(ctx, form, keys)
	case s.AuthMethod == idp.SecretBasic && s.secret != "":
		form.Del("client_id")
		s.askToken(ctx, "by client_secret_basic", form, func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(s.ID), url.QueryEscape(s.secret)) })
	case s.AuthMethod == idp.SecretPost && s.secret != "":
		form.Set("client_secret", s.secret)
		s.askToken(ctx, "by client_secret_post", form, nil)
	default:
		s.examiner.note(warn, "token", "it was not tried whether the application proves itself", "name --secret-file or --key")
	}
}

// tryAssertions signs one for each audience that the application may use.
func (s *application) tryAssertions(ctx context.Context, form url.Values, keys []jose.JSONWebKey) {
	private, err := privateKey(s.key)
	if err != nil {
		s.examiner.note(fail, "key", firstLine(err), "name a file with the private key that the application signs with")
		return
	}
	public, ok := published(private.Key, keys)
	if !ok {
		s.examiner.note(fail, "key", "its public half is not among the published keys that can be used", "publish it, and wait until the provider has asked again")
		return
	}
	if private.KeyID != "" && private.KeyID != public.KeyID {
		s.examiner.note(fail, "key", fmt.Sprintf("its kid is %.60q, and the published one's %.60q", private.KeyID, public.KeyID), "sign with the kid that is published")
	}
	alg := public.Algorithm
	for _, of := range slices.Concat(s.AssertionAlgs, algsOf(public.Key)) {
		if alg == "" && slices.Contains(algsOf(public.Key), of) {
			alg = of
		}
	}
	audiences := s.AssertionAudiences
	if len(audiences) == 0 {
		audiences = []string{"issuer", "token_endpoint"}
	}
	for _, audience := range audiences {
		whom := map[string]string{"issuer": s.fetched.Issuer, "token_endpoint": s.fetched.Token}[audience]
		signed, err := s.assertion(private.Key, public.KeyID, alg, whom)
		if err != nil {
			s.examiner.note(fail, "key", firstLine(err), "")
			return
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", signed)
		s.askToken(ctx, fmt.Sprintf("by private_key_jwt, %s, aud %s (%s)", alg, audience, whom), form, nil)
	}
}

// assertion proves who the application is, once and for a minute. RFC 7523 §3.
func (s *application) assertion(key any, kid, alg, audience string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: key, KeyID: kid}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", alg, err)
	}
	now := s.examiner.now()
	payload, err := json.Marshal(map[string]any{"iss": s.ID, "sub": s.ID, "aud": audience, "jti": idp.NewSecret(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", alg, err)
	}
	return jws.CompactSerialize()
}

func (s *application) askToken(ctx context.Context, how string, form url.Values, prove func(*http.Request)) {
	note := func(v verdict, what, do string) { s.examiner.note(v, "token", how+": "+what, do) }
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.fetched.Token, strings.NewReader(form.Encode()))
	if err != nil {
		note(fail, firstLine(err), "")
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if prove != nil {
		prove(req)
	}
	resp, body, err := s.do(req) //nolint:bodyclose // do has read and closed it
	if err != nil {
		note(fail, firstLine(err), "see that the token endpoint can be reached from where the application runs")
		return
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Error == "" {
		note(fail, "the provider answers "+resp.Status+", and no OAuth error", "see that nothing stands between that answers in its place")
		return
	}
	switch said.Error {
	case "invalid_grant":
		note(fine, "the application proves itself", "")
	case "invalid_client":
		note(fail, "the provider does not know who this is", "see the id, the registered auth_method, and the secret, or the key, its kid, alg and audience; who runs the provider finds the reason in its log")
	case "unauthorized_client":
		note(fail, "the application proves itself, and is not registered for the code", "register the grant authorization_code")
	case "temporarily_unavailable":
		note(warn, "the provider cannot answer now", "try again later")
	default:
		note(fail, strings.TrimSpace(said.Error+" "+said.Description), "")
	}
}
