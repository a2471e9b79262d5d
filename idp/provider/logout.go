package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/lanyard-id/lanyard/idp"
)

// endSession takes the wish of an application that its person be signed out.
// OIDC RP-Initiated Logout §2. Only an ID token of the very session that this
// browser has ends it at once. With any other, or none, the person is asked
// about their own session, and nobody's else ever ends.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form, err := logoutForm(r)
	if err != nil {
		p.Pages.Refuse(w, r, err)
		return
	}
	asked, err := p.readLogout(r.Context(), form)
	if err != nil {
		p.Pages.Refuse(w, r, err)
		return
	}
	key := p.Browser.Session(r)
	if r.Method == http.MethodPost && key == "" && !form.Has(ownForm) {
		// A browser sends no cookie with what another site posts: it posts once
		// more from here.
		form.Set(ownForm, "1")
		p.Pages.PostAgain(w, r, p.path+p.paths.endSession, form, asked.to.RedirectURI)
		return
	}
	s, err := p.Logins.Here(r.Context(), key)
	if err != nil {
		p.Pages.Refuse(w, r, err)
		return
	}

	switch {
	case s == nil:
		p.Browser.SignOut(w)
		p.part(w, r, asked)
	case asked.proves(*s):
		if err := p.Logins.SignOut(r.Context(), *s, asked.hint.Audience, p.RequestID(r.Context())); err != nil {
			p.Pages.Refuse(w, r, err)
			return
		}
		p.Browser.SignOut(w)
		p.Log.InfoContext(r.Context(), "signed out", "client", asked.hint.Audience, "subject", s.Subject, "sid", s.ID)
		p.part(w, r, asked)
	default:
		http.Redirect(w, r, "/sign-out?"+asked.query().Encode(), http.StatusSeeOther) //nolint:gosec // a page of ours, which believes none of it
	}
}

// ownForm marks a form that our own page has posted.
const ownForm = "own_form"

// logout is what an application asks.
type logout struct {
	hint   idp.IDToken // zero: none that proves anything
	to     idp.Parting
	odd    bool // it asked for what it may not have
	locale string
}

// proves says whether the application proves that s is the session that it means.
func (l logout) proves(s idp.Session) bool {
	return !l.odd && l.hint.SessionID == s.ID && l.hint.Subject == s.Subject
}

// query is what the page that asks the person is told. The ID token is not:
// it would stay in the browser's history.
func (l logout) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"client_id": l.to.Client.ID, "post_logout_redirect_uri": l.to.RedirectURI, "state": l.to.State, "lang": l.locale} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// part sends a person on who is signed out. Where nothing proves that the
// application asked, they choose themselves whether to go back there.
func (p *Provider) part(w http.ResponseWriter, r *http.Request, asked logout) {
	if asked.hint.Subject == "" || asked.to.RedirectURI == "" {
		http.Redirect(w, r, "/signed-out?"+asked.query().Encode(), http.StatusSeeOther) //nolint:gosec // likewise
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", asked.to.Address())
	w.WriteHeader(http.StatusSeeOther)
}

// logoutForm reads the parameters of a wish to sign out. logout_hint says whom
// to sign out where nobody knows, which we do: it is passed over.
func logoutForm(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, idp.ErrRequest
	}
	form := r.Form
	if r.Method == http.MethodPost {
		form = r.PostForm
	}
	if repeated(form) || !echoes(form.Get("state")) {
		return nil, idp.ErrRequest
	}
	return form, nil
}

// readLogout returns what the form asks, as far as it counts: what comes beside
// a hint that is not good is worth no more than the hint. An error is of a store.
func (p *Provider) readLogout(ctx context.Context, form url.Values) (logout, error) {
	l := logout{locale: p.locale(form.Get("ui_locales"))}
	client := form.Get("client_id")
	if form.Get("id_token_hint") != "" {
		hint, err := p.readHint(form.Get("id_token_hint"))
		if err == nil && client != "" && client != hint.Audience {
			err = oidc.ErrInvalidRequest().WithDescription("id_token_hint is another client's")
		}
		if p.rule(ctx, "id_token_hint is an ID token from here, and client_id's", err) != nil {
			return l, nil //nolint:nilerr // the person is asked, and stays here
		}
		l.hint, client = hint, hint.Audience
	}
	if client == "" {
		return l, nil
	}
	var err error
	l.to, err = p.Logins.PartingTo(ctx, client, form.Get("post_logout_redirect_uri"), form.Get("state"))
	err = p.rule(ctx, "client_id and post_logout_redirect_uri are registered, to the letter", err, "client", client)
	l.odd = errors.Is(err, idp.ErrRedirect) || errors.Is(err, idp.ErrClientUnknown)
	if l.odd {
		return l, nil // likewise
	}
	return l, err
}

// readHint returns what an ID token says that a client got here, expired or not.
func (p *Provider) readHint(token string) (idp.IDToken, error) {
	hint, err := p.verify(token)
	if err != nil {
		return idp.IDToken{}, err
	}
	if hint.Issuer != p.Issuer || !idp.IsUID(hint.Subject) {
		return idp.IDToken{}, errNotOurs
	}
	return hint, nil
}
