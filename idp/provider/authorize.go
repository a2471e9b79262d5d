package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/lanyard-id/lanyard/idp"
)

// authorize takes an authorization request, by GET or POST, and sends the
// browser to sign in. OIDC Core §3.1.2.1.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form, err := authorizeForm(r)
	if err != nil {
		p.Pages.Refuse(w, r, err)
		return
	}
	// Until both are known to be right nothing may be sent anywhere: the
	// person sees a page. RFC 6749 §4.1.2.1.
	c, err := p.Clients.Client(r.Context(), form.Get("client_id"))
	if p.rule(r.Context(), "client_id is registered", err, "client", c.ID) != nil {
		p.Pages.Refuse(w, r, err)
		return
	}
	if err := c.Redirect(form.Get("redirect_uri")); p.rule(r.Context(), "redirect_uri is registered, to the letter", err) != nil {
		p.Pages.Refuse(w, r, err)
		return
	}

	l, err := p.login(r.Context(), c, form)
	if err == nil && l.Silent && !p.Automatic {
		p.silent(w, r, l)
		return
	}
	if err == nil && p.Arrivals != nil {
		if wait := p.Arrivals(r.Context()); wait > 0 {
			p.Pages.Refuse(w, r, idp.Limited{Wait: wait})
			return
		}
	}
	if err == nil && !p.Automatic && p.answered(w, r, l) {
		return
	}
	if err == nil {
		l.Browser = p.Browser.Bind(w, r, l.ID)
		err = p.rule(r.Context(), "a way to sign in here can meet it", p.Logins.Begin(r.Context(), l, c))
	}
	if err != nil {
		p.Browser.Release(w, l.ID)
		p.refuseClient(w, r, l, err)
		return
	}

	http.Redirect(w, r, "/login?id="+l.ID, http.StatusSeeOther)
}

// silent answers prompt=none on the spot: no page will come, so nothing need be
// kept, and a browser that keeps no cookie is answered too.
func (p *Provider) silent(w http.ResponseWriter, r *http.Request, l idp.Login) {
	v, err := p.Logins.Look(r.Context(), l, p.Browser.Session(r))
	if err == nil {
		err = v.Err
	}
	if p.rule(r.Context(), "somebody is signed in who meets it", err) != nil {
		p.refuseClient(w, r, l, err)
		return
	}
	code, err := p.Logins.Code(r.Context(), v)
	if err != nil {
		p.refuseClient(w, r, l, err)
		return
	}
	p.respond(w, r, l, p.success(l, code))
}

// answered gives the client a code at once if somebody is signed in at the
// browser and nothing need be asked of them: no page will come, so nothing need
// be kept, and the answer goes to the browser that asked. Whatever else there
// is to say, an outage too, is for the pages.
func (p *Provider) answered(w http.ResponseWriter, r *http.Request, l idp.Login) bool {
	key := p.Browser.Session(r)
	if key == "" {
		return false
	}
	v, err := p.Logins.Look(r.Context(), l, key)
	if err != nil || v.Err != nil || v.Step != idp.Return {
		return false
	}
	code, err := p.Logins.Code(r.Context(), v)
	if err != nil {
		p.refuseClient(w, r, l, err)
		return true
	}
	p.respond(w, r, l, p.success(l, code))
	return true
}

// Finish ends a login that has come to its end, once: the client gets a code,
// or why there is none. r must come from the browser that began.
func (p *Provider) Finish(w http.ResponseWriter, r *http.Request, v idp.View) {
	l := v.Login
	code, err := p.Logins.Finish(r.Context(), v)
	if errors.Is(err, idp.ErrLoginGone) { // somebody else ended it this instant
		p.Pages.Refuse(w, r, err)
		return
	}
	p.Browser.Release(w, l.ID)
	if err != nil {
		p.refuseClient(w, r, l, err)
		return
	}
	p.respond(w, r, l, p.success(l, code))
}

// success is what a client gets: the code and, as CIS2 sends it and some
// clients look for it, its own name.
func (p *Provider) success(l idp.Login, code string) url.Values {
	return url.Values{"code": {code}, "client_id": {l.ClientID}}
}

// refuseClient tells the client of l why there is no code. OIDC Core §3.1.2.6.
func (p *Provider) refuseClient(w http.ResponseWriter, r *http.Request, l idp.Login, err error) {
	told := p.told(r.Context(), err)
	fields := url.Values{"error": {string(told.ErrorType)}}
	if told.Description != "" {
		fields.Set("error_description", told.Description)
	}
	p.respond(w, r, l, fields)
}

// respond sends fields to the client's redirect URI in the way that it asked
// for, with its state and, against mix-up attacks, our name (RFC 9207 §2).
func (p *Provider) respond(w http.ResponseWriter, r *http.Request, l idp.Login, fields url.Values) {
	fields.Set("iss", p.Issuer)
	if l.State != "" {
		fields.Set("state", l.State)
	}
	if l.ResponseMode == "form_post" {
		p.Pages.FormPost(w, r, l, fields)
		return
	}
	// A registered URI may have a query of its own, which stays as it is.
	sep := "?"
	if strings.Contains(l.RedirectURI, "?") {
		sep = "&"
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	// 303, so that a browser never posts again what a person typed (RFC 9700 §4.12).
	w.Header().Set("Location", l.RedirectURI+sep+fields.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// authorizeForm reads the parameters of an authorization request. One that
// names its client or redirect URI twice has no client that could be told.
func authorizeForm(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, idp.ErrRequest
	}
	form := r.Form
	if r.Method == http.MethodPost {
		form = r.PostForm
	}
	if len(form["client_id"]) > 1 || len(form["redirect_uri"]) > 1 {
		return nil, idp.ErrRequest
	}
	return form, nil
}

// login reads what the request asks of us. It is returned as far as it goes
// even with an error, because the error's answer needs state and mode.
func (p *Provider) login(ctx context.Context, c idp.Client, form url.Values) (idp.Login, error) {
	l := idp.Login{
		ID: idp.NewSecret(), ClientID: c.ID, RedirectURI: form.Get("redirect_uri"),
		State: form.Get("state"), Nonce: form.Get("nonce"), Locale: p.locale(form.Get("ui_locales")), StartedAt: p.Logins.Now(),
	}
	for _, part := range p.parts() {
		if err := p.rule(ctx, part.rule, part.read(&l, c, form)); err != nil {
			return l, err
		}
	}
	return l, nil
}

// locale returns the first of ui_locales that the pages have, or "". A longer
// tag finds a shorter one, as cy-GB finds cy (RFC 4647 §3.4). OIDC Core
// §3.1.2.1: what we have not is no error.
func (p *Provider) locale(wanted string) string {
	for _, tag := range strings.Fields(strings.ToLower(wanted)) {
		for tag != "" {
			if slices.Contains(p.Languages, tag) {
				return tag
			}
			tag = tag[:max(0, strings.LastIndex(tag, "-"))]
		}
	}
	return ""
}

// parts are the parts of a request in the order in which they are read: the
// mode first, because even an error's answer needs it.
func (p *Provider) parts() []part {
	return []part{
		{"each parameter once, and a registered response_mode", readMode},
		{"response_type is code, for which the client is registered, and no request object", readUnsupported},
		{"scope has openid and only what is registered", readScopes},
		{"code_challenge by S256 where there must be one", readPKCE},
		{"prompt and max_age can be read", readPrompt},
		{"claims can be read, and it and acr_values ask for an acr that is known and allowed", readAsked},
		{"id_token_hint is this client's, from here", p.readIDTokenHint},
	}
}

// part reads one part of a request, and names the rule that it keeps.
type part struct {
	rule string
	read func(*idp.Login, idp.Client, url.Values) error
}

// maxEcho bounds what a client gets back as it came. It is kept for minutes,
// and has to fit into a URL.
const maxEcho = 2 << 10

// readMode reads how the client wants its answer, and what it gets back in it.
// What cannot be given back as it came is left out of the error's answer too.
func readMode(l *idp.Login, c idp.Client, form url.Values) error {
	mode := form.Get("response_mode")
	if mode == "form_post" && len(form["response_mode"]) == 1 && slices.Contains(c.ResponseModes, mode) {
		l.ResponseMode = mode
	}
	stateOK, nonceOK := echoes(l.State) && len(form["state"]) < 2, echoes(l.Nonce)
	if !stateOK {
		l.State = ""
	}
	switch {
	case repeated(form):
		return oidc.ErrInvalidRequest().WithDescription("a parameter is repeated")
	case !stateOK, !nonceOK:
		return oidc.ErrInvalidRequest().WithDescription("state and nonce are text of at most 2048 bytes")
	case mode == "", mode == "query", l.ResponseMode == mode:
		return nil
	case mode == "form_post":
		return oidc.ErrInvalidRequest().WithDescription("the client is not registered for this response_mode")
	}
	return oidc.ErrInvalidRequest().WithDescription("response_mode must be query or form_post")
}

// echoes says whether s can be kept and given back as it came.
func echoes(s string) bool { return len(s) <= maxEcho && utf8.ValidString(s) }

// readUnsupported refuses by name what is not offered: passing over it would
// change what the client asked for. OIDC Core §3.1.2.6, §6.1, §6.2.
func readUnsupported(_ *idp.Login, c idp.Client, form url.Values) error {
	switch {
	case form.Has("request"):
		return oidc.ErrRequestNotSupported()
	case form.Has("request_uri"):
		return &oidc.Error{ErrorType: "request_uri_not_supported"}
	case form.Has("registration"):
		return &oidc.Error{ErrorType: "registration_not_supported"}
	case !slices.Contains(c.Grants, string(oidc.GrantTypeCode)):
		return oidc.ErrUnauthorizedClient().WithDescription("the client is not registered for the authorization code")
	case form.Get("response_type") == "":
		return oidc.ErrInvalidRequest().WithDescription("response_type is missing")
	case form.Get("response_type") != "code":
		return &oidc.Error{ErrorType: "unsupported_response_type", Description: "response_type must be code"}
	}
	return nil
}

func readScopes(l *idp.Login, c idp.Client, form url.Values) (err error) {
	l.Scopes, err = c.Allows(strings.Fields(form.Get("scope")))
	return err
}

// readPKCE takes a challenge of S256 alone. RFC 7636 §4.3, RFC 9700 §2.1.1.
func readPKCE(l *idp.Login, c idp.Client, form url.Values) error {
	challenge, method := form.Get("code_challenge"), form.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "":
		if c.RequirePKCE || c.AuthMethod == idp.NoAuth {
			return oidc.ErrInvalidRequest().WithDescription("code_challenge is required")
		}
	case method != "S256":
		return oidc.ErrInvalidRequest().WithDescription("code_challenge_method must be S256")
	case !isChallenge(challenge):
		return oidc.ErrInvalidRequest().WithDescription("code_challenge must be the base64url SHA-256 of a verifier")
	}
	l.Challenge = challenge
	return nil
}

// isChallenge says whether s could be a SHA-256 in base64url.
func isChallenge(s string) bool {
	return len(s) == 43 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

// readPrompt reads prompt and max_age. OIDC Core §3.1.2.1. Consent is given by
// the terms of use, and whom to sign in as is asked wherever a sign-in is.
func readPrompt(l *idp.Login, c idp.Client, form url.Values) error {
	l.Card = c.ID == idp.AdminClient
	prompts := strings.Fields(form.Get("prompt"))
	l.Silent = slices.Contains(prompts, oidc.PromptNone)
	if l.Silent && len(prompts) > 1 {
		return oidc.ErrInvalidRequest().WithDescription("prompt=none must stand alone")
	}
	l.Fresh = slices.Contains(prompts, oidc.PromptLogin) || slices.Contains(prompts, oidc.PromptSelectAccount)
	if form.Get("max_age") != "" {
		seconds, err := strconv.ParseUint(form.Get("max_age"), 10, 31)
		if err != nil {
			return oidc.ErrInvalidRequest().WithDescription("max_age must be a number of seconds")
		}
		age := time.Duration(seconds) * time.Second
		l.MaxAge = &age
	}
	return nil
}

// readAsked reads login_hint, claims and acr_values. A hint that is no uid is
// somebody else's word and is passed over. An acr that claims calls essential
// takes the place of acr_values: nothing else will do (OIDC Core §5.5.1.1).
func readAsked(l *idp.Login, c idp.Client, form url.Values) (err error) {
	if hint := form.Get("login_hint"); idp.IsUID(hint) {
		l.Hint = hint
	}
	var wants []idp.ACR
	for _, a := range strings.Fields(form.Get("acr_values")) {
		wants = append(wants, idp.ACR(a))
	}
	if text := form.Get("claims"); text != "" {
		asked, err := idp.ReadClaimsRequest(text)
		if err != nil {
			return oidc.ErrInvalidRequest().WithDescription("claims must be an object of JSON as OIDC Core 5.5 has it, of at most %d bytes", idp.MaxClaimsRequest)
		}
		if asked.Essential || len(wants) == 0 {
			wants = asked.ACRs
		}
		if err := readSubject(l, asked.Subjects); err != nil {
			return err
		}
		l.Asked = c.Learns(asked.Asked)
	}
	l.Wants, err = c.Wants(wants)
	return err
}

// readSubject reads whom claims asks for as sub: nobody else may be the answer.
// OIDC Core §5.5.1.
func readSubject(l *idp.Login, subjects []string) error {
	switch {
	case len(subjects) == 0:
		return nil
	case len(subjects) > 1:
		return oidc.ErrInvalidRequest().WithDescription("claims may ask for one sub")
	case !idp.IsUID(subjects[0]):
		return idp.ErrOtherPerson // who is nobody here
	}
	l.Hint, l.Only = subjects[0], true
	return nil
}

// readIDTokenHint reads whom the client takes the person to be. OIDC Core
// §3.1.2.1: nobody else may be the answer. An ID token that has expired will
// do, one that is not ours or not the client's will not.
func (p *Provider) readIDTokenHint(l *idp.Login, c idp.Client, form url.Values) error {
	hint := form.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	claims, err := p.verify(hint)
	if err != nil || claims.Issuer != p.Issuer || claims.Audience != c.ID || !idp.IsUID(claims.Subject) {
		return oidc.ErrInvalidRequest().WithDescription("id_token_hint must be an ID token that this client got here")
	}
	if l.Only && l.Hint != claims.Subject {
		return oidc.ErrInvalidRequest().WithDescription("id_token_hint and claims name different people")
	}
	l.Hint, l.Only = claims.Subject, true
	return nil
}
