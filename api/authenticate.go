package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// question is what a room may know of a login.
func question(v idp.View) authenticators.Login {
	return authenticators.Login{ID: v.Login.ID, Browser: v.Login.Browser, ClientID: v.Client.ID, ClientName: v.Client.Name}
}

// accept lets the room of a way judge an answer, signs the person in and
// returns where the login stands then.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, v idp.View, way string, answer json.RawMessage) (idp.View, error) {
	evidence, err := s.Rooms[way].Finish(r.Context(), question(v), answer)
	return s.signIn(w, r, v, way, evidence, err)
}

// signIn signs in the person of whom a room has evidence, unless it refused
// them. The browser gets a new session whatever it had before.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, v idp.View, way string, evidence authenticators.Evidence, refused error) (idp.View, error) {
	if refused != nil {
		s.Metrics.SignIn(way, refused)
		return v, s.refusedSignIn(r, v, refused)
	}
	session, secret, err := s.Logins.SignIn(r.Context(), v.Login, RequestID(r.Context()), evidence, s.Browser.Session(r))
	s.Metrics.SignIn(way, err)
	if err != nil {
		return v, err
	}
	s.Browser.SignIn(w, secret)
	if s.Browser.LastWay(r) != way {
		s.Browser.SetLastWay(w, way)
	}
	s.Log.InfoContext(r.Context(), "signed in", "method", evidence.Method, "client", v.Client.ID, "subject", session.Subject, "sid", session.ID)
	return s.Logins.View(r.Context(), v.Login, &session)
}

// refusedSignIn puts a room's refusal into the audit, and returns it. An
// outage is not a refusal.
func (s *Server) refusedSignIn(r *http.Request, v idp.View, err error) error {
	if !refusedByRoom(err) {
		return err
	}
	return s.Logins.RefuseSignIn(r.Context(), v.Login, RequestID(r.Context()), err)
}

func refusedByRoom(err error) bool { return errors.Is(err, authenticators.ErrRefused) }

// boundTo says whose logins the browser of r began.
func (s *Server) boundTo(r *http.Request) func(authenticators.Login) error {
	return func(l authenticators.Login) error {
		return s.Browser.Bound(r, idp.Login{ID: l.ID, Browser: l.Browser})
	}
}

// elsewhere is what a room found in an answer that came back from elsewhere: a
// desk, or another provider.
type elsewhere struct {
	way      string
	of       authenticators.Login // without ID: of none
	evidence authenticators.Evidence
	refused  error
}

// collected goes on with a login whose answer came back from elsewhere, to
// where its room found of which login it is: not shows why nobody is signed in.
// In another browser than the one that began, the sign-in is dead: somebody was
// led to answer for somebody else.
func (s *Server) collected(w http.ResponseWriter, r *http.Request, from elsewhere, not func(http.ResponseWriter, *http.Request, idp.View, error) error) error {
	of, refused := from.of, from.refused
	switch {
	case errors.Is(refused, idp.ErrOtherBrowser):
		return s.Logins.RefuseSignIn(r.Context(), idp.Login{ID: of.ID, ClientID: of.ClientID}, RequestID(r.Context()), idp.ErrOtherBrowser)
	case refusedByRoom(refused) && of.ID == "":
		return idp.ErrLoginGone
	case refused != nil && of.ID == "":
		return refused
	}
	v, err := s.find(r, of.ID)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}

	after, err := s.signIn(w, r, v, from.way, from.evidence, refused)
	if err != nil {
		return not(w, r, v, err)
	}

	s.goOn(w, r, after)
	return nil
}
