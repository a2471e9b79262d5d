package api

import (
	"net/http"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// What pages of this service that are not of a login stand on. People sign in
// to them as to any application: the login's client is idp.AccountClient, or
// idp.RegistrationClient, and its State the address of the page that it leads back to.

// SignedIn returns where login l, which nobody has begun, would stand at the
// browser of r: at idp.Return if whoever is signed in there meets it.
func (s *Server) SignedIn(r *http.Request, l idp.Login) (idp.View, error) {
	return s.Logins.Look(r.Context(), l, s.Browser.Session(r))
}

// Begin begins the login of v and sends the browser to sign in. Who may not
// use the page, however they signed in, is told why.
func (s *Server) Begin(w http.ResponseWriter, r *http.Request, v idp.View) error {
	if v.Err != nil && v.Step == idp.Return {
		return v.Err
	}
	if s.Begins != nil {
		if wait := s.Begins(r.Context()); wait > 0 {
			return idp.Limited{Wait: wait}
		}
	}
	l := v.Login
	l.ID = idp.NewSecret()
	l.RedirectURI = v.Client.RedirectURIs[0]
	l.Browser = s.Browser.Bind(w, r, l.ID)
	if err := s.Logins.Begin(r.Context(), l, v.Client); err != nil {
		s.Browser.Release(w, l.ID)
		return err
	}
	redirect(w, r, "/login", l)
	return nil
}

// end ends a login that has come to its end: its client is told, or the
// browser comes back to the page of ours that began it.
func (s *Server) end(w http.ResponseWriter, r *http.Request, v idp.View) {
	if !idp.IsOwn(v.Login.ClientID) {
		s.Protocol.Finish(w, r, v)
		return
	}
	err := s.Logins.End(r.Context(), v)
	s.Browser.Release(w, v.Login.ID)
	if err != nil {
		s.failIn(w, r, idp.View{}, err)
		return
	}
	http.Redirect(w, r, ownPath(v.Login.State), http.StatusSeeOther)
}

// Page makes a handler of one that may fail: the error becomes a page.
func (s *Server) Page(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return s.page(h)
}

// Render writes a page.
func (s *Server) Render(w http.ResponseWriter, status int, name string, page web.Framed) error {
	return s.render(w, status, name, page)
}

// Message returns what a person reads of err, and the status that goes with it.
func (s *Server) Message(r *http.Request, err error) (int, web.Message) {
	return s.message(r, idp.View{}, err)
}

// changeUser ends the session at this browser, for somebody else who is at the
// desk now: they inherit nothing. A login that is under way goes on with them.
func (s *Server) changeUser(w http.ResponseWriter, r *http.Request) error {
	id := r.PostFormValue("id")
	if err := s.Logins.Leave(r.Context(), s.Browser.Session(r), RequestID(r.Context())); err != nil {
		return err
	}
	s.Browser.SignOut(w)
	if id == "" {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	v, err := s.find(r, id)
	if err != nil {
		return err
	}
	next := idp.NewSecret()
	l, err := s.Logins.Renew(r.Context(), v, next, s.Browser.Bind(w, r, next))
	if err != nil {
		return err
	}
	s.Browser.Release(w, id)
	redirect(w, r, "/login", l)
	return nil
}
