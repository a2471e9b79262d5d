package cis1

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
)

// The session manager answers in lines, as OpenSSO's did.

// isValid says whether the session of a token lives. It is no act of its person.
func (s *Server) isValid(w http.ResponseWriter, r *http.Request) {
	values, err := form(r)
	if err == nil {
		var session idp.Session
		var p idp.Person
		if session, p, err = s.Sessions.Find(r.Context(), token(values, "tokenid", "subjectid", "token")); err == nil {
			s.count(r, cis1.SessionManager, "istokenvalid", session, p)
		}
	}
	s.yes(w, r, err)
}

// yes answers whether something was so. That nobody knows is no answer.
func (s *Server) yes(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
		lines(w, http.StatusOK, "boolean=true")
	case errors.Is(err, idp.ErrToken), errors.Is(err, idp.ErrRequest):
		lines(w, http.StatusOK, "boolean=false")
	default:
		s.fail(w, r, err)
	}
}

// attributes says what is known of a session. It is no act of its person.
func (s *Server) attributes(w http.ResponseWriter, r *http.Request) {
	values, err := form(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	sso := token(values, "subjectid", "tokenid", "token")

	session, p, err := s.Sessions.Find(r.Context(), sso)
	if err != nil {
		s.fail(w, r, err)
		return
	}

	s.count(r, cis1.SessionManager, "attributes", session, p)
	said := []string{"userdetails.token.id=" + sso}
	for _, a := range s.details(session, p) {
		said = append(said, "userdetails.attribute.name="+a.name)
		for _, v := range a.values {
			said = append(said, "userdetails.attribute.value="+oneLine(v))
		}
	}
	lines(w, http.StatusOK, said...)
}

// details are the attributes of a session and its person. Times are in minutes.
func (s *Server) details(session idp.Session, p idp.Person) []attribute {
	now, limits := s.Now(), session.Limits()
	minutes := func(d time.Duration) string { return strconv.Itoa(int(d / time.Minute)) }
	all := []attribute{
		{"uid", []string{p.UID}}, {"cn", []string{commonName(p)}}, {"sn", []string{p.Name.Family}}, {"givenName", []string{p.Name.Given}},
		{"max_session_time", []string{minutes(limits.Max)}}, {"max_idle_time", []string{minutes(limits.Idle)}},
		{"time_left", []string{minutes(session.AuthTime.Add(limits.Max).Sub(now))}}, {"idle_time", []string{minutes(max(0, now.Sub(session.LastAct)))}},
		{"ssbMode", []string{liveMode}},
	}
	if role := roleOf(session, p, now); role != "" {
		all = append(all, attribute{"SSB Session Role UID", []string{role}}, attribute{"ssbSessionRoleUid", []string{role}})
	}
	roles := attribute{name: "uniqueIdentifier"}
	for _, pos := range p.Current(now) {
		roles.values = append(roles.values, pos.ID)
	}
	if len(roles.values) > 0 {
		all = append(all, roles)
	}
	return all
}

// end ends the session of a token, for an application to which its person said
// so: applications have nothing else to show.
func (s *Server) end(w http.ResponseWriter, r *http.Request) {
	values, err := form(r)
	if err == nil {
		err = s.Sessions.End(r.Context(), token(values, "subjectid", "tokenid", "token"), api.RequestID(r.Context()), func(idp.Session) error { return nil })
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	lines(w, http.StatusOK)
}

// fail says why not, in the words of the old service: of a token one reason, so
// that nobody learns more of one that they have only found.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, idp.ErrToken) || errors.Is(err, idp.ErrRequest) {
		lines(w, http.StatusUnauthorized, "exception.name=com.sun.identity.idsvcs.TokenExpired Token is not valid")
		return
	}
	status, _ := s.Words.Told(r, err)
	if pause := idp.Pause(err); pause > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(pause/time.Second)))
	}
	lines(w, status, "exception.name=com.sun.identity.idsvcs.GeneralFailure")
}

// form is what came with a request, in its query or as a form.
func form(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("read the form: %w", idp.ErrRequest) // the parser's text repeats what came
	}
	return r.Form, nil
}

func lines(w http.ResponseWriter, status int, all ...string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	for _, line := range all {
		_, _ = fmt.Fprintln(w, line)
	}
}
