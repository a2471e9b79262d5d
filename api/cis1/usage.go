package cis1

import (
	"cmp"
	"net/http"
	"regexp"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
)

// productName is how programs begin to say who they are.
var productName = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]{0,39})(?:/([A-Za-z0-9][A-Za-z0-9._-]{0,19}))?(?:[ ;(]|$)`)

// caller is who calls, by its own word: an agent, a program that says its name,
// or else where it calls from.
func caller(r *http.Request) (application, of string) {
	if product, version := agentOf(r); product+version != "" {
		return cmp.Or(product, smartcard.LegacyAgent), version
	}
	if m := productName.FindStringSubmatch(r.UserAgent()); m != nil {
		return m[1], m[2]
	}
	return from(r), ""
}

// count counts a call that was answered for the session of somebody.
func (s *Server) count(r *http.Request, part, call string, session idp.Session, p idp.Person) {
	application, version := caller(r)
	s.Usage.Count(cis1.Use{Part: part, Call: call, Application: application, Version: version,
		Organisation: cis1.WorksAt(session.Role, p, s.Now()), Person: p.UID})
}

// switched lets in what is not switched off by its name.
func (s *Server) switched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if application, _ := caller(r); s.Off.Off(application, s.Now()) {
			s.refuse(w, r, object{}, api.ErrSwitchedOff)
			return
		}
		next.ServeHTTP(w, r)
	})
}
