package claim

import (
	"net/http"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// askName asks who makes a profile for themself.
func (p *Pages) askName(w http.ResponseWriter, r *http.Request) error {
	return p.namePage(w, r, http.StatusOK, nil)
}

func (p *Pages) namePage(w http.ResponseWriter, r *http.Request, status int, problem *web.Message) error {
	puzzle, err := p.Rules.Puzzles.New()
	if err != nil {
		return err
	}
	page := web.Register{Page: p.Server.Frame(r), Given: entered(r, "given"), Family: entered(r, "family"), Email: entered(r, "email"), Puzzle: puzzle.Text, Bits: puzzle.Bits, Problem: problem}
	page.Here = "/register"
	return p.Server.Render(w, status, "register", page)
}

// entered is what was entered before, if it is no longer than it may be.
func entered(r *http.Request, name string) string {
	if value := r.PostFormValue(name); len(value) <= mostShown {
		return value
	}
	return ""
}

// register begins to make a profile. Whether the address is somebody's or not,
// the same page follows; what comes after is that of a claim.
func (p *Pages) register(w http.ResponseWriter, r *http.Request) error {
	secret := idp.NewSecret()
	said := registry.Registered{Name: registry.PersonName{Given: r.PostFormValue("given"), Family: r.PostFormValue("family")},
		Claimed: registry.Claimed{Email: r.PostFormValue("email"), Puzzle: r.PostFormValue("puzzle"), Answer: r.PostFormValue("answer"),
			Network: idp.Network(api.Address(r.Context())), Browser: idp.Hash(secret), Lang: p.Server.Frame(r).Lang}}
	why := p.Rules.Register(r.Context(), said)
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
	return p.namePage(w, r, status, m)
}

// registered says that the profile was made.
func (p *Pages) registered(w http.ResponseWriter, r *http.Request) error {
	return p.Server.Render(w, http.StatusOK, "register-done", web.Registered{Page: p.Server.Frame(r)})
}
