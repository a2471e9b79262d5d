package registry

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// operatorHost is the name that the journal has for who acts with the operator's
// token.
const operatorHost = "development"

// actor is who asks. A token is looked up at each request, with its session and
// its person: what has ended stops at once.
func (a *API) actor(r *http.Request) (registry.Actor, error) {
	who := registry.Actor{Request: api.RequestID(r.Context()), Lang: a.Server.Site.Language("", r.Header.Get("Accept-Language"))}
	token, ok := bearer(r)
	if !ok {
		return who, api.ErrNobody
	}
	if a.Operator != "" && subtle.ConstantTimeCompare([]byte(idp.Hash(token)), []byte(idp.Hash(a.Operator))) == 1 {
		who.Host = operatorHost
		return who, nil
	}
	g, p, err := a.Tokens.Holder(r.Context(), token)
	if err != nil {
		return who, err
	}
	if g.ClientID != idp.AdminClient || g.For() != idp.AdminClient || !slices.Contains(g.Scopes, idp.AdminScope) {
		return who, api.ErrNotForThis
	}
	s, err := a.Sessions.Session(r.Context(), g.SessionKey, a.Now())
	if errors.Is(err, idp.ErrNotFound) {
		return who, idp.ErrToken
	}
	if err != nil {
		return who, fmt.Errorf("session of token: %w", err)
	}
	// A program's calls are no acts of its person. They keep no session alive:
	// it is that of a browser too, which may stand at a desk that was left.
	if !s.Live(a.Now()) || s.ID != g.SessionID || s.Subject != p.UID {
		return who, idp.ErrToken
	}
	// What was proved for the token counts, and not what the person has proved
	// since at the same browser.
	s.Level, s.AuthTime, s.Method = min(s.Level, g.Level), g.AuthTime, g.Method
	who.Person, who.Session = p, s
	return who, nil
}

// bearer is the token of a request. It comes in the header alone: what stands in
// an address is written down on the way. RFC 6750 §2.1.
func bearer(r *http.Request) (string, bool) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= 512
}
