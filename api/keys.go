package api

import (
	"encoding/json"
	"net/http"

	"github.com/lanyard-id/lanyard/idp"
)

// KeyWay is the name of the way and room of passkeys and security keys.
const KeyWay = "passkey"

// beginKey gives the browser a question that any key of its person may answer.
// It is asked for by a script, which needs the question and not a page.
func (s *Server) beginKey(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err == nil && (v.Err != nil || v.Step != idp.Authenticate) {
		err = idp.ErrLoginGone
	}
	if err == nil {
		err = s.mayAsk(r)
	}
	var asked json.RawMessage
	if err == nil {
		asked, err = s.Rooms[KeyWay].Begin(r.Context(), question(v))
	}
	if err != nil {
		s.Problem(w, r, "", err)
		return nil
	}

	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(asked) //nolint:gosec // JSON that the room made
	return err
}

// useKey signs in the person whose key answered.
func (s *Server) useKey(w http.ResponseWriter, r *http.Request) error {
	v, err := s.look(r)
	if err != nil {
		return err
	}
	if s.leave(w, r, v) {
		return nil
	}
	answer := r.PostFormValue("answer")
	if answer == "" { // no script ran
		return s.showWays(w, r, http.StatusOK, v, nil)
	}

	after, err := s.accept(w, r, v, KeyWay, json.RawMessage(answer))
	if err != nil {
		return s.again(w, r, v, err)
	}

	s.goOn(w, r, after)
	return nil
}

// again shows the ways to sign in after a try that did not sign in, and why.
func (s *Server) again(w http.ResponseWriter, r *http.Request, v idp.View, reason error) error {
	if !refusedByRoom(reason) {
		return s.dismiss(w, r, v, reason)
	}
	status, m := s.message(r, v, reason)
	return s.showWays(w, r, status, v, &m)
}

// mayAsk counts a question that costs a store something, and says no to who
// asks for too many.
func (s *Server) mayAsk(r *http.Request) error {
	if s.Asks == nil {
		return nil
	}
	if wait := s.Asks(r.Context()); wait > 0 {
		return idp.Limited{Wait: wait}
	}
	return nil
}
