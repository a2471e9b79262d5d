// Package claim is where people whose identity was verified add a way to sign in
// without anybody's help, and others make an unverified profile: the pages under
// /claim and /register.
//
// Nobody is signed in here. What somebody has to know, what they are told and
// what they may add is decided in idp/registry/claim.go, which keeps how far a
// browser has come; each page asks it, so no step can be left out. Until the
// code from the mail is shown, everybody reads the same.
package claim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// Config is what the pages need.
type Config struct {
	Server *api.Server
	Rules  *registry.Claims
	Rooms  map[string]authenticators.Enroller // by the name of their way
}

// Pages are the pages under /claim.
type Pages struct{ Config }

// New returns the pages.
func New(c Config) *Pages { return &Pages{c} }

// Mount puts the pages on r.
func (p *Pages) Mount(r chi.Router) {
	r.Get("/claim", p.Server.Page(p.ask))
	r.Post("/claim", p.Server.Page(p.begin))
	r.Get("/register", p.Server.Page(p.askName))
	r.Post("/register", p.Server.Page(p.register))
	r.Get("/register/done", p.Server.Page(p.registered))
	r.Get("/claim/code", p.Server.Page(p.askCode))
	r.Post("/claim/code", p.Server.Page(p.prove))
	r.Get("/claim/choose", p.Server.Page(p.askWay))
	r.Post("/claim/choose", p.Server.Page(p.choose))
	if p.Rooms[key] != nil {
		r.Get("/claim/passkey", p.Server.Page(p.showKey))
		r.Post("/claim/passkey/begin", p.Server.Page(p.beginKey))
		r.Post("/claim/passkey", p.Server.Page(p.addKey))
	}
	if p.Rooms[code] != nil {
		r.Get("/claim/totp", p.Server.Page(p.showCode))
		r.Post("/claim/totp", p.Server.Page(p.addCode))
	}
	r.Get("/claim/done", p.Server.Page(p.done))
}

// The ways that can be added, by the names of their rooms, in the order in which
// they are offered.
const (
	key  = string(authenticators.KeyKind)
	code = string(authenticators.CodeKind)
	away = string(authenticators.FederatedKind)
)

const (
	purpose = "claim"          // of what the browser holds
	held    = 45 * time.Minute // longer than any claim
)

// browser is by what the rules know the browser of a request.
func (p *Pages) browser(r *http.Request) string {
	secret := p.Server.Browser.Held(r, purpose)
	if secret == "" {
		return ""
	}
	return idp.Hash(secret)
}

// ask asks who it is.
func (p *Pages) ask(w http.ResponseWriter, r *http.Request) error {
	return p.askPage(w, r, http.StatusOK, "", nil)
}

func (p *Pages) askPage(w http.ResponseWriter, r *http.Request, status int, email string, problem *web.Message) error {
	puzzle, err := p.Rules.Puzzles.New()
	if err != nil {
		return err
	}
	page := web.Claim{Page: p.Server.Frame(r), Email: email, Puzzle: puzzle.Text, Bits: puzzle.Bits, Problem: problem}
	page.Here = "/claim"
	return p.Server.Render(w, status, "claim", page)
}

// begin begins a claim. Whoever it is, and whatever is wrong, the same page
// follows: only who solved no puzzle, or comes too often, learns of that.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request) error {
	secret := idp.NewSecret()
	email := r.PostFormValue("email")
	why := p.Rules.Begin(r.Context(), registry.Claimed{Email: email, Number: r.PostFormValue("number"), Puzzle: r.PostFormValue("puzzle"), Answer: r.PostFormValue("answer"),
		Network: idp.Network(api.Address(r.Context())), Browser: idp.Hash(secret), Lang: p.Server.Frame(r).Lang})
	if why == nil {
		p.Server.Browser.Hold(w, purpose, secret, held)
		http.Redirect(w, r, "/claim/code", http.StatusSeeOther)
		return nil
	}

	status, m, err := p.problem(r, why)
	if err != nil {
		return err
	}
	api.RetryAfter(w, why)
	if len(email) > mostShown {
		email = ""
	}
	return p.askPage(w, r, status, email, m)
}

// mostShown bounds what a stranger wrote and sees again.
const mostShown = 254

// problem is how a form shows err, for errors that its person can put right; the
// others are returned.
func (p *Pages) problem(r *http.Request, err error) (int, *web.Message, error) {
	if errors.Is(err, registry.ErrClaimGone) {
		return 0, nil, err // there is no form any more
	}
	status, m := p.Server.Message(r, err)
	if status >= http.StatusInternalServerError {
		return status, nil, err
	}
	return status, &m, nil
}

// askCode asks for the code from the mail.
func (p *Pages) askCode(w http.ResponseWriter, r *http.Request) error {
	return p.codePage(w, r, http.StatusOK, nil)
}

func (p *Pages) codePage(w http.ResponseWriter, r *http.Request, status int, problem *web.Message) error {
	c, err := p.Rules.Find(r.Context(), p.browser(r))
	if err != nil {
		return err
	}
	page := web.ClaimCode{Page: p.Server.Frame(r), New: c.Made != nil, Problem: problem}
	page.Here = "/claim/code"
	return p.Server.Render(w, status, "claim-code", page)
}

// prove takes the code.
func (p *Pages) prove(w http.ResponseWriter, r *http.Request) error {
	why := p.Rules.Prove(r.Context(), p.browser(r), r.PostFormValue("code"))
	if why == nil {
		http.Redirect(w, r, "/claim/choose", http.StatusSeeOther)
		return nil
	}

	status, m, err := p.problem(r, why)
	if err != nil {
		return err
	}
	return p.codePage(w, r, status, m)
}

// askWay asks what to add.
func (p *Pages) askWay(w http.ResponseWriter, r *http.Request) error {
	return p.wayPage(w, r, http.StatusOK, "", nil)
}

func (p *Pages) wayPage(w http.ResponseWriter, r *http.Request, status int, chosen string, problem *web.Message) error {
	who, err := p.Rules.Who(r.Context(), p.browser(r))
	if err != nil {
		return err
	}
	page := web.ClaimChoose{Page: p.Server.Frame(r), Display: who.Display, Chosen: chosen, Problem: problem}
	page.Here = "/claim/choose"
	for _, way := range []string{key, code, away} {
		if p.Rooms[way] != nil && (way != code || !holds(who, authenticators.CodeKind)) {
			page.Ways = append(page.Ways, web.Addable{Name: way})
		}
	}
	w.Header().Set("Content-Security-Policy", web.Policy("https:")) // the form may lead to the organisation's own provider
	return p.Server.Render(w, status, "claim-choose", page)
}

func holds(who registry.Claimant, kind authenticators.Kind) bool {
	for _, a := range who.Held {
		if a.Kind == kind {
			return true
		}
	}
	return false
}

// choose notes what is to be added, and leads there.
func (p *Pages) choose(w http.ResponseWriter, r *http.Request) error {
	way := r.PostFormValue("way")
	if p.Rooms[way] == nil {
		status, m, err := p.problem(r, registry.ErrNotAlone)
		if err != nil {
			return err
		}
		return p.wayPage(w, r, status, "", m)
	}
	why := p.Rules.Choose(r.Context(), p.browser(r), authenticators.Kind(way), r.PostFormValue("alone") == "yes")
	if why != nil {
		status, m, err := p.problem(r, why)
		if err != nil {
			return err
		}
		return p.wayPage(w, r, status, way, m)
	}

	if way == away {
		return p.sendAway(w, r)
	}
	http.Redirect(w, r, "/claim/"+way, http.StatusSeeOther) //nolint:gosec // one of our rooms
	return nil
}

// sendAway sends the browser to the organisation's own provider.
func (p *Pages) sendAway(w http.ResponseWriter, r *http.Request) error {
	raw, err := p.asked(r, away)
	if err != nil {
		return err
	}
	var asked struct {
		Question string `json:"question"`
	}
	if err := json.Unmarshal(raw, &asked); err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	if err := p.Rules.SentAway(r.Context(), p.browser(r), asked.Question); err != nil {
		return err
	}
	return api.SendAway(w, r, raw)
}

// Returned answers a browser that comes back from the organisation's own
// provider, if a claim sent it there: the provider knows one address for all who
// add their account. It says whether it did.
func (p *Pages) Returned(w http.ResponseWriter, r *http.Request) bool {
	state := r.URL.Query().Get("state")
	browser := p.browser(r)
	if state == "" || browser == "" || p.Rooms[away] == nil {
		return false
	}
	if c, err := p.Rules.Find(r.Context(), browser); err != nil || c.Away != state {
		return false
	}
	p.Server.Page(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Referrer-Policy", "no-referrer") // the address has what works once
		place, err := p.add(r, away, api.Answered(r), p.Server.Site.Text(p.Server.Frame(r).Lang, "held.federated"))
		if err != nil {
			return err
		}
		return p.added(w, r, place)
	})(w, r)
	return true
}

// asked is the question of a room for the claim of a browser.
func (p *Pages) asked(r *http.Request, way string) (json.RawMessage, error) {
	e, err := p.Rules.Enrolment(r.Context(), p.browser(r), authenticators.Kind(way))
	if err != nil {
		return nil, err
	}
	return p.Rooms[way].BeginEnrolment(r.Context(), e)
}

// add lets a room judge an answer, and keeps what it proved. It returns the page
// that says so.
func (p *Pages) add(r *http.Request, way string, answer json.RawMessage, name string) (place string, err error) {
	c, err := p.Rules.Find(r.Context(), p.browser(r))
	if err != nil {
		return "", err
	}
	if place = "/claim/done"; c.Made != nil {
		place = "/register/done"
	}
	e, err := p.Rules.Enrolment(r.Context(), p.browser(r), authenticators.Kind(way))
	if err != nil {
		return "", err
	}
	a, err := p.Rooms[way].FinishEnrolment(r.Context(), e, answer)
	if err != nil {
		return "", err
	}
	return place, p.Rules.Bind(r.Context(), e.Browser, a, name, idp.Owner{Request: api.RequestID(r.Context()), Lang: p.Server.Frame(r).Lang})
}

func (p *Pages) added(w http.ResponseWriter, r *http.Request, place string) error {
	p.Server.Browser.Hold(w, purpose, "", 0)
	http.Redirect(w, r, place, http.StatusSeeOther) //nolint:gosec // one of our pages
	return nil
}

// done says that it was added.
func (p *Pages) done(w http.ResponseWriter, r *http.Request) error {
	return p.Server.Render(w, http.StatusOK, "claim-done", web.ClaimDone{Page: p.Server.Frame(r)})
}
