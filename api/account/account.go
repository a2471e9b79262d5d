// Package account is where people see and change what they sign in with, and
// end what they are signed in to: the pages under /account.
//
// People sign in to these pages as to any application, by the same rules and
// pages; a page that wants more of a sign-in than there is sends them there and
// takes them back. What may be changed is decided in idp/account.go.
package account

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// Config is what the pages need.
type Config struct {
	Server    *api.Server
	Accounts  *idp.Accounts
	Rooms     map[string]authenticators.Enroller // by the name of their way
	Passwords Passwords
	Mailed    *idp.MailCodes
	Returned  func(http.ResponseWriter, *http.Request) bool // answers who comes back from their organisation and is not signed in, and says whether it did
	Now       func() time.Time
}

// Passwords changes passwords.
type Passwords interface {
	// ChangePassword gives the person another password if old and code are
	// theirs. about is what it may not be made of.
	ChangePassword(ctx context.Context, subject, old, code, password string, about ...string) (totp.Changed, error)
}

var _ Passwords = (*totp.Room)(nil)

// Pages are the pages under /account.
type Pages struct{ Config }

// New returns the pages.
func New(c Config) *Pages { return &Pages{c} }

// Mount puts the pages on r.
func (p *Pages) Mount(r chi.Router) {
	any2, fresh, strong := need{}, need{fresh: true}, need{fresh: true, level: authenticators.AAL3}
	r.Get("/account", p.signedIn(any2, p.show))
	r.Get("/account/add", p.signedIn(fresh, p.choose))
	if p.Rooms[string(authenticators.KeyKind)] != nil {
		r.Get("/account/add/passkey", p.signedIn(fresh, p.showKey))
		r.Post("/account/add/passkey/begin", p.signedIn(fresh, p.beginKey))
		r.Post("/account/add/passkey", p.signedIn(fresh, p.addKey))
	}
	if p.Rooms[string(authenticators.CodeKind)] != nil {
		r.Get("/account/add/totp", p.signedIn(fresh, p.showCode))
		r.Post("/account/add/totp", p.signedIn(fresh, p.addCode))
	}
	if p.Rooms[string(authenticators.FederatedKind)] != nil {
		r.Post("/account/add/federated", p.signedIn(fresh, p.beginFederated))
		r.Get("/account/add/federated", p.returned(p.signedIn(fresh, p.addFederated)))
	}
	r.Get("/account/name", p.signedIn(fresh, p.showName))
	r.Post("/account/name", p.signedIn(fresh, p.rename))
	r.Get("/account/remove", p.signedIn(fresh, p.askRemove))
	r.Post("/account/remove", p.signedIn(fresh, p.remove))
	r.Get("/account/lost", p.signedIn(any2, p.askLost))
	r.Post("/account/lost", p.signedIn(any2, p.lose))
	r.Get("/account/password", p.signedIn(fresh, p.showPassword))
	r.Post("/account/password", p.signedIn(fresh, p.changePassword))
	r.Get("/account/email", p.signedIn(strong, p.showEmail))
	r.Post("/account/email", p.signedIn(strong, p.sendCode))
	r.Post("/account/email/code", p.signedIn(strong, p.changeEmail))
	r.Post("/account/sessions/end", p.signedIn(any2, p.endSession))
	r.Get("/account/everywhere", p.signedIn(any2, p.askEverywhere))
	r.Post("/account/everywhere", p.signedIn(any2, p.endAll))
}

// need is what a page wants of a sign-in.
type need struct {
	fresh bool // lately
	level authenticators.Level
}

// login is the login that would meet n.
func (n need) login(back string, now time.Time) idp.Login {
	l := idp.Login{ClientID: idp.AccountClient, Scopes: []string{"openid"}, Wants: []idp.ACR{idp.AAL2OrAAL3Any}, State: back, StartedAt: now}
	if n.level >= authenticators.AAL3 {
		l.Wants = []idp.ACR{idp.AAL3Any}
	}
	if n.fresh {
		age := idp.FreshFor
		l.MaxAge, l.Card = &age, true
	}
	return l
}

// maxBack bounds an address that somebody comes back to: more is no page of ours.
const maxBack = 1 << 10

// handler answers whoever is signed in as its page needs.
type handler func(w http.ResponseWriter, r *http.Request, o idp.Owner) error

// signedIn calls h for whoever is signed in as n says, and sends everybody
// else to sign in. What they posted is not sent again: they come back to the
// page that it came from.
func (p *Pages) signedIn(n need, h handler) http.HandlerFunc {
	return p.Server.Page(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "same-origin")
		back := "/account"
		switch address := r.URL.RequestURI(); {
		case r.URL.Path == api.FederatedLink:
			back = "/account/add" // its address has what works once
		case r.Method == http.MethodGet && len(address) <= maxBack:
			back = address
		}
		v, err := p.Server.SignedIn(r, n.login(back, p.Now()))
		if err != nil {
			return err
		}
		if v.Session == nil || v.Step != idp.Return || v.Err != nil {
			return p.Server.Begin(w, r, v)
		}
		if err := p.Accounts.Seen(r.Context(), *v.Session); err != nil {
			return err
		}
		return h(w, r, idp.Owner{Person: v.Person, Session: *v.Session, Request: api.RequestID(r.Context()), Lang: p.Server.Frame(r).Lang})
	})
}

// frame is what every page of the account has.
func (p *Pages) frame(r *http.Request, o idp.Owner) web.Page {
	page := p.Server.Frame(r)
	page.Who = o.Person.Name.Display
	return page
}

// problem is how a form shows err, for errors that its person can put right;
// the others are returned.
func (p *Pages) problem(r *http.Request, err error) (int, *web.Message, error) {
	status, m := p.Server.Message(r, err)
	if status >= http.StatusInternalServerError {
		return status, nil, err
	}
	return status, &m, nil
}

// done leads back to the account, which says what was done.
func (p *Pages) done(w http.ResponseWriter, r *http.Request, what string) error {
	http.Redirect(w, r, "/account?done="+url.QueryEscape(what), http.StatusSeeOther)
	return nil
}

// dones are what the account says was done: nobody else's words.
var dones = map[string]string{"added": "done.added", "removed": "done.removed", "lost": "done.lost", "renamed": "done.renamed",
	"password": "done.password", "email": "done.email", "ended": "done.ended"}

// show lists what the person holds and what they are signed in to.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	held, err := p.Accounts.Held(r.Context(), o)
	if err != nil {
		return err
	}
	open, err := p.Accounts.Open(r.Context(), o)
	if err != nil {
		return err
	}

	page := web.Account{Page: p.frame(r, o), Name: o.Person.Name.Display, Email: o.Person.Email, Done: dones[r.URL.Query().Get("done")]}
	for _, c := range o.Person.Cards() {
		page.Cards = append(page.Cards, web.Held{ID: c.Serial, Name: c.Serial, Kind: "smartcard", Level: int(authenticators.AAL3), Suspended: !c.Active})
	}
	for _, a := range held {
		page.Held = append(page.Held, p.held(page.Lang, a))
	}
	for _, s := range open {
		names, err := p.names(r.Context(), s.Clients)
		if err != nil {
			return err
		}
		page.Sessions = append(page.Sessions, web.OpenSession{ID: s.ID, Applications: names, Way: wayOf(s.Method),
			Since: p.Server.Site.Moment(page.Lang, idp.InLondon(s.AuthTime)), This: s.Key == o.Session.Key || s.Key == o.Session.Of})
	}
	return p.Server.Render(w, http.StatusOK, "account", page)
}

func (p *Pages) held(lang string, a authenticators.Authenticator) web.Held {
	h := web.Held{ID: a.ID, Name: a.Name, Kind: string(a.Kind), Model: a.Model, Level: int(a.Level),
		Added: p.Server.Site.Date(lang, idp.InLondon(a.AddedAt)), Suspended: a.State != authenticators.Active, Password: a.Kind == authenticators.CodeKind && a.State == authenticators.Active}
	if !a.UsedAt.IsZero() {
		h.Used = p.Server.Site.Date(lang, idp.InLondon(a.UsedAt))
	}
	return h
}

// names are what people call the clients.
func (p *Pages) names(ctx context.Context, clients []string) (string, error) {
	var names []string
	for _, id := range clients {
		c, err := p.Server.Logins.Clients.Client(ctx, id)
		if err != nil || c.Name == "" {
			c.Name = id // it may be gone by now
		}
		names = append(names, c.Name)
	}
	return strings.Join(names, ", "), nil
}

// wayOf is the catalogue key of a way to sign in.
func wayOf(m authenticators.Method) string {
	switch m {
	case authenticators.FIDO2, authenticators.Apple, authenticators.Passkey:
		return "held.passkey"
	case authenticators.TOTP:
		return "held.totp"
	case authenticators.Federated:
		return "held.federated"
	case authenticators.Smartcard, authenticators.LegacySmartcard:
	}
	return "held.smartcard"
}

// enrolment is what a room may know of whoever adds an authenticator.
func (p *Pages) enrolment(ctx context.Context, o idp.Owner) (authenticators.Enrolment, error) {
	held, err := p.Accounts.Held(ctx, o)
	return authenticators.Enrolment{ID: o.Session.ID, Browser: o.Session.Key, Subject: o.Person.UID, Email: o.Person.Email,
		Display: o.Person.Name.Display, Held: held}, err
}

// answerOf is an answer for a room, of fields of a form.
func answerOf(r *http.Request, fields ...string) json.RawMessage {
	m := map[string]string{}
	for _, f := range fields {
		m[f] = r.FormValue(f)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil // text always is JSON
	}
	return b
}
