package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// CodeWay is the name of the way and room of passwords with one-time codes.
const CodeWay = "totp"

// showOneTime asks for e-mail, password and code.
func (s *Server) showOneTime(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}
	if err := s.mayAsk(r); err != nil {
		return err
	}
	return s.oneTimePage(w, r, v, http.StatusOK, r.URL.Query().Get("email"), nil)
}

// oneTimePage shows the form with a new question.
func (s *Server) oneTimePage(w http.ResponseWriter, r *http.Request, v idp.View, status int, email string, problem *web.Message) error {
	raw, err := s.Rooms[CodeWay].Begin(r.Context(), question(v))
	if err != nil {
		return err
	}
	var asked struct {
		Question string `json:"question"`
	}
	if err := json.Unmarshal(raw, &asked); err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	page := web.OneTime{Page: s.framed(r, v), LoginID: v.Login.ID, Question: asked.Question, Email: clip(email), Problem: problem}
	page.Here, page.Error = "/login/totp?"+url.Values{"id": {v.Login.ID}}.Encode(), problem != nil
	mayPostTo(w, v.Login.RedirectURI)
	return s.render(w, status, "totp", page)
}

// useOneTime signs in whoever knows the password and has the app.
func (s *Server) useOneTime(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}

	answer, err := json.Marshal(map[string]string{"question": r.PostFormValue("question"), "email": r.PostFormValue("email"),
		"password": r.PostFormValue("password"), "code": r.PostFormValue("code")})
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	after, err := s.accept(w, r, v, CodeWay, answer)
	if err == nil {
		s.goOn(w, r, after)
		return nil
	}

	if !refusedByRoom(err) && !errors.Is(err, idp.ErrLimited) && !errors.Is(err, idp.ErrLocked) {
		return s.dismiss(w, r, v, err)
	}
	if err := s.mayAsk(r); err != nil {
		return err
	}
	status, m := s.message(r, v, err)
	retryAfter(w, err)
	return s.oneTimePage(w, r, v, status, r.PostFormValue("email"), &m)
}

// showForgotten asks who has forgotten their password.
func (s *Server) showForgotten(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	return s.render(w, http.StatusOK, "forgotten", web.Forgotten{Page: s.framed(r, v), LoginID: v.Login.ID})
}

// forgotten sends a code to whoever has forgotten their password. The page that
// follows says the same of everybody.
func (s *Server) forgotten(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if err := s.mayAsk(r); err != nil {
		return err
	}
	page := web.Forgotten{Page: s.framed(r, v), LoginID: v.Login.ID, Email: clip(r.PostFormValue("email"))}
	err = s.Recovery.Ask(r.Context(), page.Email, v.Login.Browser, page.Lang)
	if err == nil {
		page.Sent = true
		return s.render(w, http.StatusOK, "forgotten", page)
	}
	return s.forgottenAgain(w, r, v, page, err)
}

// reset takes a new password from who shows the code from the mail and one of
// their app.
func (s *Server) reset(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if err := s.mayAsk(r); err != nil {
		return err
	}
	page := web.Forgotten{Page: s.framed(r, v), LoginID: v.Login.ID, Email: clip(r.PostFormValue("email")), Sent: true}
	err = s.Recovery.Reset(r.Context(), page.Email, v.Login.Browser, r.PostFormValue("mailed"), func(o idp.Owner) error { //nolint:contextcheck // it is the request's, called at once
		o.Request, o.Lang = RequestID(r.Context()), page.Lang
		changed, err := s.Passwords.ResetPassword(r.Context(), o.Person.UID, r.PostFormValue("code"), r.PostFormValue("password"), o.About()...)
		if err != nil {
			return err
		}
		if err := s.Recovery.Accounts.SetPassword(r.Context(), o, changed.Authenticator, changed.Use, changed.Once); err != nil {
			return err
		}
		// Whoever knew the old password may be signed in by it.
		return s.Recovery.Accounts.EndAll(r.Context(), o)
	})
	if err != nil {
		return s.forgottenAgain(w, r, v, page, err)
	}
	// A page and no redirect: the address would stay in the history of a desk.
	return s.oneTimePage(w, r, v, http.StatusOK, page.Email, nil)
}

func (s *Server) forgottenAgain(w http.ResponseWriter, r *http.Request, v idp.View, page web.Forgotten, reason error) error {
	status, m := s.message(r, v, reason)
	if status >= http.StatusInternalServerError {
		return reason
	}
	retryAfter(w, reason)
	page.Problem, page.Error = &m, true
	return s.render(w, status, "forgotten", page)
}
