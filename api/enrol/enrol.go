// Package enrol is where a person adds a security key or Windows Hello with the
// code that the registration authority gave them: the pages under /enrol.
//
// Nobody is signed in here. Who has the code, and what is added with it, is
// decided in idp/registry/enrol.go. The code stays with the browser in which it
// was typed, in a cookie that no script reads, and each page asks anew what it
// stands for: the server remembers nothing of somebody half-way.
package enrol

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// Config is what the pages need.
type Config struct {
	Server *api.Server
	Rules  *registry.Enrolling
	Room   authenticators.Enroller // for keys
	Now    func() time.Time
}

// Pages are the pages under /enrol.
type Pages struct{ Config }

// New returns the pages.
func New(c Config) *Pages { return &Pages{c} }

// Mount puts the pages on r.
func (p *Pages) Mount(r chi.Router) {
	r.Get("/enrol", p.Server.Page(p.askCode))
	r.Post("/enrol", p.Server.Page(p.takeCode))
	r.Get("/enrol/key", p.Server.Page(p.showKey))
	r.Post("/enrol/key/begin", p.Server.Page(p.beginKey))
	r.Post("/enrol/key", p.Server.Page(p.addKey))
	r.Get("/enrol/done", p.Server.Page(p.done))
}

// purpose names what the browser holds: a secret of its own, and the code.
const purpose = "enrol"

// askCode asks for the code.
func (p *Pages) askCode(w http.ResponseWriter, r *http.Request) error {
	return p.codePage(w, r, http.StatusOK, nil)
}

func (p *Pages) codePage(w http.ResponseWriter, r *http.Request, status int, problem *web.Message) error {
	page := web.Enrol{Page: p.Server.Frame(r), Problem: problem}
	page.Here = "/enrol"
	return p.Server.Render(w, status, "enrol", page)
}

// takeCode lets the browser hold a code that is good.
func (p *Pages) takeCode(w http.ResponseWriter, r *http.Request) error {
	code := r.PostFormValue("code")
	i, err := p.invited(r, code)
	if err != nil {
		return p.notGood(w, r, err)
	}
	p.Server.Browser.Hold(w, purpose, idp.NewSecret()+"."+registry.SpellCode(code), i.Until.Sub(p.Now()))
	http.Redirect(w, r, "/enrol/key", http.StatusSeeOther)
	return nil
}

func (p *Pages) invited(r *http.Request, code string) (registry.Invited, error) {
	return p.Rules.Invited(r.Context(), code, idp.Network(api.Address(r.Context())))
}

// notGood asks for the code again, and says why.
func (p *Pages) notGood(w http.ResponseWriter, r *http.Request, why error) error {
	status, m := p.Server.Message(r, why)
	if status >= http.StatusInternalServerError {
		return why
	}
	p.Server.Browser.Hold(w, purpose, "", 0)
	api.RetryAfter(w, why)
	return p.codePage(w, r, status, &m)
}

// held returns what the code stands for that the browser holds, and the act that
// the room knows it by.
func (p *Pages) held(r *http.Request) (registry.Invited, authenticators.Enrolment, error) {
	secret, code, _ := strings.Cut(p.Server.Browser.Held(r, purpose), ".")
	if code == "" {
		return registry.Invited{}, authenticators.Enrolment{}, registry.ErrEnrolment
	}
	i, err := p.invited(r, code)
	return i, authenticators.Enrolment{ID: "enrol " + i.Hash, Browser: idp.Hash(secret), Subject: i.UID, Email: i.Email, Display: i.Display, Held: i.Held}, err
}

// showKey says who may add a key, and asks what they call it.
func (p *Pages) showKey(w http.ResponseWriter, r *http.Request) error {
	i, _, err := p.held(r)
	if err != nil {
		return p.notGood(w, r, err)
	}
	return p.keyPage(w, r, http.StatusOK, i, "", nil)
}

func (p *Pages) keyPage(w http.ResponseWriter, r *http.Request, status int, i registry.Invited, name string, problem *web.Message) error {
	page := web.EnrolKey{Page: p.Server.Frame(r), Display: i.Display, UID: i.UID, Inviter: i.Inviter, ByVideo: i.How == string(registry.ByVideo),
		Until: idp.InLondon(i.Until).Format("15:04"), Name: name, Problem: problem}
	page.Here = "/enrol/key"
	return p.Server.Render(w, status, "enrol-key", page)
}

// beginKey gives the browser the question that a new key answers.
func (p *Pages) beginKey(w http.ResponseWriter, r *http.Request) error {
	_, e, err := p.held(r)
	if err != nil {
		return err
	}

	question, err := p.Room.BeginEnrolment(r.Context(), e)
	if err != nil {
		return err
	}

	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(question) //nolint:gosec // JSON that the room made
	return err
}

// addKey keeps the key that answered, and with it uses up the code.
func (p *Pages) addKey(w http.ResponseWriter, r *http.Request) error {
	i, e, err := p.held(r)
	if err != nil {
		return p.notGood(w, r, err)
	}
	name := r.PostFormValue("name")
	a, err := p.Room.FinishEnrolment(r.Context(), e, json.RawMessage(r.PostFormValue("answer")))
	if errors.Is(err, authenticators.ErrRefused) && !errors.Is(err, passkey.ErrKnown) {
		err = fmt.Errorf("%w: %w", api.ErrKeyNotAdded, err)
	}
	if err == nil {
		a, err = p.Rules.Bind(r.Context(), i, a, name, idp.Owner{Request: api.RequestID(r.Context()), Lang: p.Server.Frame(r).Lang})
	}
	if err == nil {
		p.Server.Browser.Hold(w, purpose, "", 0)
		http.Redirect(w, r, fmt.Sprintf("/enrol/done?level=%d", a.Level), http.StatusSeeOther)
		return nil
	}

	if errors.Is(err, registry.ErrEnrolment) {
		return p.notGood(w, r, err)
	}
	status, m := p.Server.Message(r, err)
	if status >= http.StatusInternalServerError {
		return err
	}
	return p.keyPage(w, r, status, i, name, &m)
}

// done says what the key is worth. Whoever changes the address reads other words
// and has no other key.
func (p *Pages) done(w http.ResponseWriter, r *http.Request) error {
	page := web.EnrolDone{Page: p.Server.Frame(r), High: r.URL.Query().Get("level") == "3"}
	return p.Server.Render(w, http.StatusOK, "enrol-done", page)
}
