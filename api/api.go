// Package api is the HTTP that people see: parse, decide, render.
//
// It signs people in and shows them what went wrong. What may happen is
// decided in package idp and in the rooms of authenticators; nothing here is a
// rule. routes.go has every URL, errors.go is the only place where an error
// becomes a page, browser.go ties a login to the browser that began it.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api/ops"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// Config is what the pages are made of.
type Config struct {
	Logins   *idp.Logins
	Browser  *Browser
	Rooms    map[string]authenticators.Room // by the name of their way
	Protocol Protocol
	Desk     *Desk
	Site     *web.Site
	Metrics  *ops.Metrics
	Log      *slog.Logger

	Origin func(*http.Request) netip.Addr  // where a request comes from; nil: the other end of the connection
	InHand int                             // how many requests may be in hand at once; 0: 512
	Trace  func(http.Handler) http.Handler // nil: nothing is traced

	// Asks counts a card or key that is asked for, and Begins a login of our
	// own pages. They say how long who asks must wait; nil: as many as come.
	Asks, Begins func(context.Context) (wait time.Duration)

	Federated Federated // nil: there is no such way
	Recovery  *idp.Recovery
	Passwords Passwords

	Account func(chi.Router) // puts there the pages of people's accounts; nil: there are none
	Apply   func(chi.Router) // and those on which people apply for a care identity; nil: there are none
	Enrol   func(chi.Router) // and those for the code of an invitation; nil: there are none
	Claim   func(chi.Router) // and those for adding a way to sign in without help; nil: there are none

	Registry func(chi.Router) // puts there the registration authority for programs; nil: there is none

	// Cards tells of the certificates of cards that this service issued: OCSP,
	// and the list of what is revoked. Nil: it issues none.
	Cards http.Handler

	// Registration puts there the pages of the registration authority: those
	// that take a file on the second router. Nil: there are none.
	Registration func(pages, files chi.Router)

	// Legacy puts there what is answered of the old service: what judges a card
	// on the second router. unknown answers whoever shall not know of it. Nil:
	// nothing is.
	Legacy      func(plain, card chi.Router, unknown http.HandlerFunc)
	LegacyApart bool // it is answered by LegacyRoutes alone, on a listener of its own

	// Development only; nil in production.
	Development *Development
}

// Federated is the door of its room for browsers that come back from the
// organisation's own provider.
type Federated interface {
	// Collect ends the question that an answer is of, and returns the login it
	// was of and what was proved, if right says that the login is the caller's.
	Collect(ctx context.Context, answer json.RawMessage, right func(authenticators.Login) error) (authenticators.Login, authenticators.Evidence, error)
}

// Passwords gives new passwords to those who have forgotten theirs.
type Passwords interface {
	// ResetPassword gives the person another password if code is of their app.
	// about is what it may not be made of.
	ResetPassword(ctx context.Context, subject, code, password string, about ...string) (totp.Changed, error)
}

var _ Passwords = (*totp.Room)(nil)

// Protocol is what relying parties talk to.
type Protocol interface {
	// Mount puts the protocol's endpoints where they are let in: those that
	// begin a login, those that go on with one or answer a program, and those
	// that stand on nothing and are always open.
	Mount(begin, goOn, open chi.Router)

	// Finish ends a login that has come to its end, once, and answers its
	// client. r comes from the browser that began.
	Finish(w http.ResponseWriter, r *http.Request, v idp.View)
}

// Desk is what pages need of the desks at which people show their cards.
type Desk struct {
	Desks   smartcard.Desks
	Shown   AtDesk
	Card    Collector
	Alias   string           // what agents know this service by
	Origin  string           // of its pages, as agents and browsers' policies know it
	Mount   func(chi.Router) // puts there what agents call
	Closing <-chan struct{}  // closed when the server is to stop: pages that wait are let go; nil is never
}

// AtDesk reads what the page of a desk shows.
type AtDesk interface {
	// AtDesk is idp.Standing, with how transaction tx stands: all in one round
	// trip. A desk without an ID is over.
	AtDesk(ctx context.Context, id, key, tx string, now time.Time) (idp.Login, *idp.Session, smartcard.Desk, error)
}

// Collector is the door of the smartcard's room for browsers that come back
// from a desk.
type Collector interface {
	// Collect ends question tx and returns the login it was of and what the
	// card proved, if completion is its code and right says that the login is
	// the caller's.
	Collect(ctx context.Context, tx, completion string, right func(authenticators.Login) error) (authenticators.Login, authenticators.Evidence, error)
}

var _ Collector = (*smartcard.Room)(nil)

// Development is what a development service has beside.
type Development struct {
	Cards   VirtualCards
	Auto    func(context.Context, authenticators.Login) (json.RawMessage, error) // nil: no automatic sign-in
	DemoURL string                                                               // the demo application
	Facts   []web.Detail                                                         // what a developer copies
	Mount   func(chi.Router)                                                     // the pages under /dev
}

// Server answers the browsers of people.
type Server struct {
	Config
	inHand  atomic.Int64 // requests that were let in and have not been answered
	streams streams
}

// New returns a server, whose Protocol and Desk may be set before Routes is
// called.
func New(c Config) *Server {
	if c.Origin == nil {
		c.Origin = remote
	}
	if c.InHand == 0 {
		c.InHand = 512
	}
	return &Server{Config: c}
}

// Frame fills in what every page needs.
func (s *Server) Frame(r *http.Request) web.Page { return s.framed(r, idp.View{}) }

// framed is Frame for a page of a login.
func (s *Server) framed(r *http.Request, v idp.View) web.Page {
	page := web.Page{Lang: s.language(r, v.Login), Here: here(r), Development: s.Development != nil, RequestID: RequestID(r.Context())}
	page.Application = s.nameOf(page.Lang, v.Client)
	if v.Session != nil {
		page.Who, page.Login = v.Person.Name.Display, v.Login.ID
	}
	return page
}

// render writes a page.
func (s *Server) render(w http.ResponseWriter, status int, name string, page web.Framed) error {
	html, err := s.Site.Render(page.Language(), name, page)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(html)))
	h.Add("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, err = w.Write(html) //nolint:gosec // html/template escaped all that it was told
	return err
}

// mayPostTo opens the page's policy to where its form may end: browsers hold
// the redirects after a form to form-action too, and an application may send
// the person on to an address of its own that nobody registered, so any https
// address is let through beside the registered one. More are addresses that
// only this page posts to.
func mayPostTo(w http.ResponseWriter, redirectURI string, more ...string) {
	targets := append([]string{"https:"}, more...)
	u, err := url.Parse(redirectURI)
	switch {
	case err != nil || u.Scheme == "https":
	case strings.Contains(u.Hostname(), ":"):
		targets = append(targets, "http:") // CSP 3 §2.3.1 cannot name an IPv6 host
	default:
		targets = append(targets, u.Scheme+"://"+u.Host)
	}
	w.Header().Set("Content-Security-Policy", web.Policy(targets...))
}
