package api

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// parting is where a person goes who signs out here, and the page's frame. Both
// are read from values, which an application may have sent: what does not count
// leads nowhere.
func (s *Server) parting(r *http.Request, values url.Values) (idp.Parting, web.Page, error) {
	frame := s.framed(r, idp.View{Login: idp.Login{Locale: values.Get("lang")}})
	client := values.Get("client_id")
	if client == "" {
		return idp.Parting{}, frame, nil
	}
	to, err := s.Logins.PartingTo(r.Context(), client, values.Get("post_logout_redirect_uri"), values.Get("state"))
	if errors.Is(err, idp.ErrRedirect) || errors.Is(err, idp.ErrClientUnknown) {
		err = nil
	}
	return to, frame, err
}

// askSignOut asks whether to sign out. It is where an application leads that
// cannot prove which session it means.
func (s *Server) askSignOut(w http.ResponseWriter, r *http.Request) error {
	to, frame, err := s.parting(r, r.URL.Query())
	if err != nil {
		return err
	}
	session, err := s.Logins.Here(r.Context(), s.Browser.Session(r))
	if err != nil {
		return err
	}

	if session == nil {
		http.Redirect(w, r, "/signed-out?"+r.URL.RawQuery, http.StatusSeeOther) //nolint:gosec // a page of ours, which believes none of it
		return nil
	}
	page := web.SignOut{Page: frame, Asks: s.nameOf(frame.Lang, to.Client)}
	page.Fields = []web.Detail{{Name: "client_id", Value: to.Client.ID}, {Name: "post_logout_redirect_uri", Value: to.RedirectURI}, {Name: "state", Value: to.State}, {Name: "lang", Value: frame.Lang}}
	if to.RedirectURI != "" {
		mayPostTo(w, to.RedirectURI)
	}
	return s.render(w, http.StatusOK, "sign-out", page)
}

// signOut ends the session of this browser, and leads back to the application
// that asked.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return idp.ErrRequest
	}
	to, _, err := s.parting(r, r.PostForm)
	if err != nil {
		return err
	}
	session, err := s.Logins.Here(r.Context(), s.Browser.Session(r))
	if err != nil {
		return err
	}

	if session != nil {
		if err := s.Logins.SignOut(r.Context(), *session, to.Client.ID, RequestID(r.Context())); err != nil {
			return err
		}
	}
	s.Browser.SignOut(w)

	if to.RedirectURI == "" {
		http.Redirect(w, r, "/signed-out?"+url.Values{"lang": {r.PostForm.Get("lang")}}.Encode(), http.StatusSeeOther)
		return nil
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", to.Address())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// signedOut says that nobody is signed in here any more.
func (s *Server) signedOut(w http.ResponseWriter, r *http.Request) error {
	to, frame, err := s.parting(r, r.URL.Query())
	if err != nil {
		return err
	}
	page := web.SignedOut{Page: frame}
	if to.RedirectURI != "" {
		name := orElse(s.nameOf(frame.Lang, to.Client), s.Site.Text(frame.Lang, "application.unnamed"))
		page.Back = &web.Link{Href: to.Address(), Label: s.Site.Text(frame.Lang, "signedout.back", "application", name)}
	}
	return s.render(w, http.StatusOK, "signed-out", page)
}

// PostAgain implements provider.Pages.
func (s *Server) PostAgain(w http.ResponseWriter, r *http.Request, path string, fields url.Values, leads string) {
	page := web.FormPost{Page: s.Frame(r), Action: path}
	page.Here = "" // what was posted is not asked for again
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		page.Fields = append(page.Fields, web.Detail{Name: name, Value: fields.Get(name)})
	}
	if leads != "" {
		mayPostTo(w, leads)
	}
	if err := s.render(w, http.StatusOK, "signing-out", page); err != nil {
		s.Log.ErrorContext(r.Context(), "page failed", "error", err.Error())
	}
}
