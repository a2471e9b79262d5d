package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// login is where a sign-in begins, and where the browser comes back to if
// somebody must sign in or the login cannot go on. Anybody else it sends to the
// next step.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.automatic() {
		v = s.signInAutomatically(w, r, v)
	}

	if v.Err == nil && v.Step != idp.Authenticate {
		s.goOn(w, r, v)
		return nil
	}
	s.Metrics.Step(v.Step, v.Err)
	switch {
	case v.Err != nil && s.forClient(v):
		return s.refuse(w, r, v, v.Err)
	case v.Err != nil:
		return s.dismiss(w, r, v, v.Err)
	}
	return s.showWays(w, r, http.StatusOK, v, nil)
}

// goOn sends the browser to the page of the next step of v, which Next has
// decided, or ends the login. Whoever must sign in, or cannot go on, is for GET
// /login.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, v idp.View) {
	path := ""
	switch v.Step {
	case idp.ReadNotice:
		path = "/login/notice"
	case idp.ChooseRole:
		path = "/login/role"
	case idp.Authenticate, idp.Return:
	}
	if v.Err != nil || v.Step == idp.Authenticate {
		redirect(w, r, "/login", v.Login)
		return
	}
	s.Metrics.Step(v.Step, nil)
	if v.Step == idp.Return {
		s.end(w, r, v)
		return
	}
	redirect(w, r, path, v.Login)
}

// look loads the login that the request names, for the browser that began it.
func (s *Server) look(r *http.Request) (idp.View, error) {
	id := r.URL.Query().Get("id")
	if r.Method == http.MethodPost {
		id = r.PostFormValue("id")
	}
	return s.find(r, id)
}

// find loads the login called id, for the browser that began it.
func (s *Server) find(r *http.Request, id string) (idp.View, error) {
	return s.Logins.Find(r.Context(), id, s.Browser.Session(r), func(l idp.Login) error { return s.Browser.Bound(r, l) })
}

// forClient says whether the client is told of v.Err at once, without a page:
// where no page may be shown, and where no page could help.
func (s *Server) forClient(v idp.View) bool {
	return v.Login.Silent || v.Login.Refused != "" || s.automatic() || errors.Is(v.Err, idp.ErrUnmet) || errors.Is(v.Err, idp.ErrOtherPerson)
}

// refuse tells the client no.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, v idp.View, reason error) error {
	var refusal idp.Refusal
	if !errors.As(reason, &refusal) {
		return reason
	}
	if err := s.Logins.Refuse(r.Context(), v.Login, refusal); err != nil {
		return err
	}
	v.Err = refusal
	s.end(w, r, v)
	return nil
}

// dismiss shows the person why the login cannot go on. From there they go
// back to the application, which is told too. An outage ends no login.
func (s *Server) dismiss(w http.ResponseWriter, r *http.Request, v idp.View, reason error) error {
	var refusal idp.Refusal
	if errors.As(reason, &refusal) && refusal != idp.ErrUnavailable {
		if err := s.Logins.Refuse(r.Context(), v.Login, refusal); err != nil {
			return err
		}
	}
	mayPostTo(w, v.Login.RedirectURI)
	s.failIn(w, r, v, reason)
	return nil
}

// cancel is the person's own wish to stop.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	return s.refuse(w, r, v, idp.ErrCancelled)
}

// showWays offers the ways to sign in that could answer the login.
func (s *Server) showWays(w http.ResponseWriter, r *http.Request, status int, v idp.View, m *web.Message) error {
	page := web.Ways{Page: s.framed(r, v), LoginID: v.Login.ID, Message: m, Why: s.why(r, v)}
	if page.Error = m != nil; page.Error && m.Request != "" {
		page.RequestID = m.Request
	}
	for _, way := range lastFirst(v.Client.Ways(v.Login, s.Logins.Ways), s.Browser.LastWay(r)) {
		if way.Name == SmartcardWay && s.Development != nil {
			page.Cards = s.Development.Cards.Cards(r.Context()) // for who has no reader, and no card file
		}
		page.Ways = append(page.Ways, web.Way{Name: way.Name})
		page.Claim = page.Claim || s.Claim != nil && way.Name != SmartcardWay
	}
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, status, "ways", page)
}

// lastFirst puts the way in which somebody last signed in at this browser before
// the others.
func lastFirst(ways []idp.Way, last string) []idp.Way {
	slices.SortStableFunc(ways, func(a, b idp.Way) int {
		switch last {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return 0
	})
	return ways
}

// why tells somebody who is signed in what the application wants beyond that.
func (s *Server) why(r *http.Request, v idp.View) *web.Message {
	if v.Session == nil || v.Person.UID == "" {
		return nil
	}
	key := "ways.why.fresh"
	if _, err := v.Client.Issue(v.Login.Wants, v.Session.Method, v.Session.Level); err != nil {
		key = "ways.why.level"
		if v.Session.Level >= authenticators.AAL3 {
			key = "ways.why.other"
		}
	}
	lang := s.language(r, v.Login)
	return &web.Message{Text: s.Site.Text(lang, key, "application", orElse(s.nameOf(lang, v.Client), s.Site.Text(lang, "application.unnamed")))}
}

// nameOf is what people call a client: of our own pages, in their language.
func (s *Server) nameOf(lang string, c idp.Client) string {
	switch c.ID {
	case idp.AccountClient:
		return s.Site.Text(lang, "account.application")
	case idp.RegistrationClient:
		return s.Site.Text(lang, "ra.application")
	}
	return c.Name
}

func (s *Server) automatic() bool { return s.Development != nil && s.Development.Auto != nil }

// signInAutomatically does what the person would do: sign in afresh with their
// virtual card, and take the first of several positions.
func (s *Server) signInAutomatically(w http.ResponseWriter, r *http.Request, v idp.View) idp.View {
	if v.Login.Refused == "" && (v.Session == nil || v.Session.Login != v.Login.ID) {
		v = s.automaticCard(w, r, v)
	}
	if v.Step == idp.ReadNotice && v.Err == nil {
		v = s.skipNotice(r, v)
	}
	if v.Step == idp.ChooseRole && (v.Err == nil || errors.Is(v.Err, idp.ErrInteraction)) {
		first := slices.MinFunc(v.Role.Offers, func(a, b idp.Position) int { return strings.Compare(a.ID, b.ID) })
		again, err := s.Logins.ChooseRole(r.Context(), v, RequestID(r.Context()), first.ID)
		if err != nil {
			again.Step, again.Err = idp.Return, err
		}
		return again
	}
	return v
}

// skipNotice goes on as somebody who has read the notice.
func (s *Server) skipNotice(r *http.Request, v idp.View) idp.View {
	again, err := s.Logins.Tell(r.Context(), v)
	if err != nil {
		again.Err = err
	}
	return again
}

// automaticCard signs the person in afresh, and returns where the login stands
// then.
func (s *Server) automaticCard(w http.ResponseWriter, r *http.Request, v idp.View) idp.View {
	again, err := s.lookAfterCard(w, r, v)
	if err != nil {
		v.Err = s.knownRefusal(r.Context(), err)
		return v
	}
	return again
}

func (s *Server) lookAfterCard(w http.ResponseWriter, r *http.Request, v idp.View) (idp.View, error) {
	answer, err := s.Development.Auto(r.Context(), question(v))
	if err != nil {
		return v, s.refusedSignIn(r, v, err)
	}
	return s.accept(w, r, v, SmartcardWay, answer)
}

// knownRefusal turns a room's refusal into one that a client can be told.
func (s *Server) knownRefusal(ctx context.Context, err error) error {
	if refusedByRoom(err) {
		s.Log.InfoContext(ctx, "authenticator refused", "reason", err.Error())
		return idp.ErrAuthenticator
	}
	return err
}

// redirect sends the browser to path for login l, with 303 so that nothing
// is posted twice.
func redirect(w http.ResponseWriter, r *http.Request, path string, l idp.Login) {
	http.Redirect(w, r, path+"?id="+url.QueryEscape(l.ID), http.StatusSeeOther)
}
