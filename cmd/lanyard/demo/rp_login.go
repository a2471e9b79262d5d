package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// scopes are what the demo application always asks for; a role is asked for
// by one more.
var scopes = []string{oidc.ScopeOpenID, "profile", "email", "nhsperson", "nationalrbacaccess", "associatedorgs"}

// login is a sign-in that has begun and has no answer yet.
type login struct {
	browser  string // value of the cookie of the browser that began
	nonce    string
	verifier string // RFC 7636 §4.1
	maxAge   time.Duration
	aged     bool // max_age was asked for
}

// begin sends the browser to the provider. Its query holds the choices of the
// form on the first page.
func (a *rp) begin(w http.ResponseWriter, r *http.Request) error {
	p, err := a.discover(r.Context())
	if err != nil {
		return err
	}
	l := login{browser: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	state := rand.Text()
	asked, options, err := choices(r.URL.Query(), &l)
	if err != nil {
		return err
	}
	if c, err := r.Cookie(loginCookie); err == nil && len(c.Value) == len(l.browser) {
		l.browser = c.Value // two tabs may sign in side by side
	}
	options = append(options, oidc.Nonce(l.nonce), oauth2.S256ChallengeOption(l.verifier))

	a.logins.put(state, l)
	a.setCookie(w, loginCookie, l.browser, loginLife)
	http.Redirect(w, r, a.oauth(p, asked).AuthCodeURL(state, options...), http.StatusSeeOther)
	return nil
}

// choices reads what the person asked for: the scopes, and the parameters.
func choices(q url.Values, l *login) ([]string, []oauth2.AuthCodeOption, error) {
	asked := append([]string(nil), scopes...)
	role := "selectedrole"
	if q.Has("role") {
		role = q.Get("role")
	}
	switch role {
	case "selectedrole", "changedrole":
		asked = append(asked, role)
	case "none":
	default:
		return nil, nil, refuse("bad_choice", "there is no role scope called %q", role)
	}
	var options []oauth2.AuthCodeOption
	for param, name := range map[string]string{"acr_values": "acr", "prompt": "prompt", "max_age": "max_age", "response_mode": "mode"} {
		if v := q.Get(name); v != "" {
			options = append(options, oauth2.SetAuthURLParam(param, v))
		}
	}
	if v := q.Get("max_age"); v != "" {
		seconds, err := strconv.Atoi(v)
		if err != nil || seconds < 0 {
			return nil, nil, refuse("bad_choice", "max_age is a number of seconds, not %q", v)
		}
		l.maxAge, l.aged = time.Duration(seconds)*time.Second, true
	}
	return asked, options, nil
}

// callback takes the provider's answer, by query or by form.
func (a *rp) callback(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return refuse("bad_answer", "the answer cannot be read")
	}
	answer := r.Form
	l, err := a.takeLogin(r, answer.Get("state"))
	if err != nil {
		return err
	}
	p, err := a.discover(r.Context())
	if err != nil {
		return err
	}
	if err := a.checkAnswer(p, answer); err != nil {
		return err
	}

	s, err := a.exchange(r.Context(), p, l, answer.Get("code"))
	if err != nil {
		return err
	}

	// A new value, so that nobody can have planted it before the sign-in.
	key := rand.Text()
	if c, err := r.Cookie(sessionCookie); err == nil {
		a.sessions.take(c.Value)
	}
	a.sessions.put(key, s)
	a.setCookie(w, sessionCookie, key, sessionLife)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// takeLogin returns the sign-in that state belongs to, once, and only to the
// browser that began it.
func (a *rp) takeLogin(r *http.Request, state string) (login, error) {
	c, err := r.Cookie(loginCookie)
	if err != nil {
		return login{}, refuse("state_mismatch", "this browser did not begin a sign-in here")
	}
	l, ok := a.logins.get(state)
	if !ok || l.browser != c.Value {
		return login{}, refuse("state_mismatch", "the answer belongs to no sign-in that this browser began")
	}
	if _, ok = a.logins.take(state); !ok {
		return login{}, refuse("state_mismatch", "the answer came twice")
	}
	return l, nil
}

// checkAnswer looks at an answer before its code is used.
func (a *rp) checkAnswer(p *provider, answer url.Values) error {
	// RFC 9207 §2.4: compared as text, and missing only where the provider
	// never promised it.
	if iss := answer.Get("iss"); iss != a.Issuer && (iss != "" || p.sendsIss) {
		return refuse("issuer_mismatch", "the answer is from %q, not from %q", iss, a.Issuer)
	}
	if code := answer.Get("error"); code != "" {
		return &problem{Status: http.StatusOK, Code: code, Description: answer.Get("error_description")}
	}
	if answer.Get("code") == "" {
		return refuse("bad_answer", "the answer has neither a code nor an error")
	}
	return nil
}

// exchange turns a code into a signed-in person, believing nothing unchecked.
func (a *rp) exchange(ctx context.Context, p *provider, l login, code string) (signedIn, error) {
	ctx = a.reach(ctx)
	token, err := a.oauth(p, nil).Exchange(ctx, code, oauth2.VerifierOption(l.verifier))
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) && refused.ErrorCode != "" {
		return signedIn{}, refuse(refused.ErrorCode, "%s", refused.ErrorDescription)
	}
	if err != nil {
		return signedIn{}, fmt.Errorf("exchange the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := a.verifier(p).Verify(ctx, raw)
	if err != nil {
		return signedIn{}, refuse("bad_id_token", "%v", err)
	}
	if id.Nonce != l.nonce {
		return signedIn{}, refuse("bad_id_token", "the nonce is another sign-in's")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return signedIn{}, refuse("bad_id_token", "%v", err)
		}
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return signedIn{}, fmt.Errorf("fetch userinfo: %w", err)
	}
	// OIDC Core §5.3.2: otherwise the answer is about someone else.
	if info.Subject != id.Subject {
		return signedIn{}, refuse("bad_userinfo", "userinfo is about %q, the ID token about %q", info.Subject, id.Subject)
	}
	s, err := a.person(l, id, info)
	s.raw = raw
	return s, err
}

// verifier checks tokens of the provider that are meant for this application.
func (a *rp) verifier(p *provider) *oidc.IDTokenVerifier {
	return p.Verifier(&oidc.Config{ClientID: a.ClientID, Now: a.Now})
}

// claimsOf reads claims twice: into v, and as they came.
func claimsOf(from interface{ Claims(any) error }, v any) (string, error) {
	if err := from.Claims(v); err != nil {
		return "", refuse("bad_claims", "%v", err)
	}
	var all map[string]any
	if err := from.Claims(&all); err != nil {
		return "", refuse("bad_claims", "%v", err)
	}
	pretty, err := json.MarshalIndent(all, "", "  ")
	return string(pretty), err
}

// signOut ends the session here, and asks the provider to end its own: with
// the ID token, so that it need not ask the person. Where it cannot be asked
// they are signed out here alone.
func (a *rp) signOut(w http.ResponseWriter, r *http.Request) error {
	var s signedIn
	if c, err := r.Cookie(sessionCookie); err == nil {
		s, _ = a.sessions.take(c.Value)
	}
	a.setCookie(w, sessionCookie, "", -time.Second)
	next := "/"
	if p, err := a.discover(r.Context()); err == nil && p.endSession != "" && s.raw != "" {
		next = p.endSession + "?" + url.Values{"id_token_hint": {s.raw}, "post_logout_redirect_uri": {a.BaseURL + "/"}}.Encode()
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// backchannelLogout ends the sessions that a logout token names.
// OIDC Back-Channel Logout §2.8: 200 when that is done, 400 when the token is
// not good. One that was used is not good either: it would end sessions that
// began after it.
func (a *rp) backchannelLogout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, formLimit)
	p, err := a.discover(r.Context())
	if err != nil {
		a.Log.WarnContext(r.Context(), "back-channel logout", "error", err)
		http.Error(w, "the provider cannot be reached", http.StatusBadRequest)
		return
	}
	token, err := a.verifier(p).VerifyLogout(a.reach(r.Context()), r.PostFormValue("logout_token"))
	if err == nil && !a.tokens.put(token.TokenID, struct{}{}) {
		err = refuse("bad_logout_token", "the token was used before")
	}
	if err != nil {
		a.Log.WarnContext(r.Context(), "back-channel logout refused", "error", err)
		http.Error(w, "the logout token is not good", http.StatusBadRequest)
		return
	}
	ended := a.sessions.drop(func(s signedIn) bool {
		if token.SessionID != "" {
			return s.SID == token.SessionID
		}
		return s.Subject == token.Subject
	})
	a.Log.InfoContext(r.Context(), "signed out by the provider", "sessions", ended)
}
