// Package apply is where people apply for a care identity who were invited by
// the registration authority: the pages under /apply.
//
// They have no account, and nobody is signed in here. Who has a code, and what
// it is good for, is decided in idp/registry/applicants.go. The code came to
// the applicant's address and to nobody else; it stays with the browser in which
// it was typed, in a cookie that no script reads, until they have applied.
package apply

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// Config is what the pages need.
type Config struct {
	Server *api.Server
	Rules  *registry.Applying
	Now    func() time.Time
}

// Pages are the pages under /apply.
type Pages struct{ Config }

// New returns the pages.
func New(c Config) *Pages { return &Pages{c} }

const (
	details = registry.ApplyPath + "/details"
	done    = registry.ApplyPath + "/done"
)

// Mount puts the pages on r.
func (p *Pages) Mount(r chi.Router) {
	r.Get(registry.ApplyPath, p.Server.Page(p.askCode))
	r.Post(registry.ApplyPath, p.Server.Page(p.takeCode))
	r.Get(details, p.Server.Page(p.askDetails))
	r.Post(details, p.Server.Page(p.takeDetails))
	r.Get(done, p.Server.Page(p.done))
}

const (
	// purpose names what the browser holds: the code.
	purpose = "apply"

	// patience is how long somebody may take over the form.
	patience = 2 * time.Hour
)

// askCode asks for the code.
func (p *Pages) askCode(w http.ResponseWriter, r *http.Request) error {
	return p.codePage(w, r, http.StatusOK, nil)
}

func (p *Pages) codePage(w http.ResponseWriter, r *http.Request, status int, problem *web.Message) error {
	page := web.Apply{Page: p.Server.Frame(r), Problem: problem}
	page.Here = registry.ApplyPath
	return p.Server.Render(w, status, "apply", page)
}

// takeCode lets the browser hold a code that is good.
func (p *Pages) takeCode(w http.ResponseWriter, r *http.Request) error {
	code := r.PostFormValue("code")
	if _, _, err := p.invitation(r, code); err != nil {
		return p.notGood(w, r, err)
	}
	p.Server.Browser.Hold(w, purpose, registry.SpellCode(code), patience)
	http.Redirect(w, r, details, http.StatusSeeOther)
	return nil
}

func (p *Pages) invitation(r *http.Request, code string) (registry.Applicant, string, error) {
	return p.Rules.Invitation(r.Context(), code, idp.Network(api.Address(r.Context())))
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

// askDetails asks who they are.
func (p *Pages) askDetails(w http.ResponseWriter, r *http.Request) error {
	a, at, err := p.invitation(r, p.Server.Browser.Held(r, purpose))
	if err != nil {
		return p.notGood(w, r, err)
	}
	return p.detailsPage(w, r, http.StatusOK, a, at, nil)
}

// fields are what is asked, as the JSON of registry.Said has it, with what
// browsers know it by.
var fields = []struct{ name, as, width, known string }{
	{"name.title", "text", "10", "honorific-prefix"}, {"name.given", "text", "20", "given-name"}, {"name.middle", "text", "20", "additional-name"},
	{"name.family", "text", "20", "family-name"}, {"born", "date", "10", "bday"}, {"ni_number", "text", "10", "off"}, {"mobile", "text", "20", "tel"},
}

func (p *Pages) detailsPage(w http.ResponseWriter, r *http.Request, status int, a registry.Applicant, at string, problem error) error {
	page := web.ApplyDetails{Page: p.Server.Frame(r), Organisation: at, Email: a.Email}
	page.Here = details
	if r.Method != http.MethodGet {
		page.Here = "" // what was posted is not shown again in another language
	}
	say := func(key string, args ...any) string { return p.Server.Site.Text(page.Lang, key, args...) }
	var wrong []registry.Field
	if no, ok := errors.AsType[*registry.Refused](problem); ok {
		wrong = no.Fields
	}
	for _, f := range fields {
		key := "apply.field." + f.name
		field := web.ApplyField{FormField: web.FormField{ID: "f-" + strings.ReplaceAll(f.name, ".", "-"), Name: f.name, Label: say(key), As: f.as, Width: f.width, Value: r.PostFormValue(f.name)}, Known: f.known}
		if hint := say(key + ".hint"); hint != key+".hint" {
			field.Hint = hint
		}
		if i := slices.IndexFunc(wrong, func(w registry.Field) bool { return w.Name == f.name }); i >= 0 {
			field.Problem = field.Label + ": " + say("ra.problem."+wrong[i].Problem)
			page.Problems = append(page.Problems, web.FieldProblem{ID: field.ID, Text: field.Problem})
		}
		page.Fields = append(page.Fields, field)
	}
	return p.Server.Render(w, status, "apply-details", page)
}

// said is what somebody typed, as it is kept.
func said(r *http.Request) registry.Said {
	value := func(name string) string { return strings.Join(strings.Fields(r.PostFormValue(name)), " ") }
	plain := func(name string) string { return strings.ToUpper(strings.ReplaceAll(value(name), " ", "")) }
	return registry.Said{Name: registry.PersonName{Title: value("name.title"), Given: value("name.given"), Middle: value("name.middle"), Family: value("name.family")},
		Born: idp.Date(value("born")), NINumber: plain("ni_number"), Mobile: plain("mobile")}
}

// takeDetails applies, and with that uses up the code.
func (p *Pages) takeDetails(w http.ResponseWriter, r *http.Request) error {
	code := p.Server.Browser.Held(r, purpose)
	a, at, err := p.invitation(r, code)
	if err != nil {
		return p.notGood(w, r, err)
	}

	err = p.Rules.Apply(r.Context(), code, said(r), idp.Owner{Request: api.RequestID(r.Context()), Lang: p.Server.Frame(r).Lang})

	switch {
	case errors.Is(err, registry.ErrField):
		return p.detailsPage(w, r, http.StatusUnprocessableEntity, a, at, err)
	case errors.Is(err, registry.ErrNotInvited):
		return p.notGood(w, r, err) // somebody has applied with it meanwhile
	case err != nil:
		return err
	}
	p.Server.Browser.Hold(w, purpose, "", 0)
	http.Redirect(w, r, done, http.StatusSeeOther)
	return nil
}

// done says what comes next.
func (p *Pages) done(w http.ResponseWriter, r *http.Request) error {
	page := p.Server.Frame(r)
	page.Here = done
	return p.Server.Render(w, http.StatusOK, "apply-done", page)
}
