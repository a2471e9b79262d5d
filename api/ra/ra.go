// Package ra is the registration authority for people: the pages under /ra.
//
// forms.go says as data what each change of idp/registry asks for, and form.go
// shows any of them: a form, a page on which somebody looks at what it would
// do, and the change itself, which nobody makes without that page. Nothing is
// judged here: what somebody may not do a page does not offer, and whoever asks
// for it all the same is told so by registry.Service.
//
// People sign in to these pages as to any application, at the highest level,
// and afresh where a change gives somebody access.
package ra

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// Config is what the pages need.
type Config struct {
	Server   *api.Server
	Service  *registry.Service
	Accounts Accounts
	Held     authenticators.Held
	Checks   authenticators.Questions // remembers what somebody has looked at before they do it
	Now      func() time.Time
}

// Accounts knows what people are signed in to.
type Accounts interface {
	Open(ctx context.Context, o idp.Owner) ([]idp.OwnSession, error)
	Seen(ctx context.Context, s idp.Session) error
}

var _ Accounts = (*idp.Accounts)(nil)

// Pages are the pages under /ra.
type Pages struct{ Config }

// New returns the pages.
func New(c Config) *Pages { return &Pages{c} }

// Mount puts the pages on r, and those that take a file on files.
func (p *Pages) Mount(r, files chi.Router) {
	get := func(path string, h handler) { r.Get(path, p.signedIn(false, h)) }
	post := func(path string, h handler) { r.Post(path, p.signedIn(false, h)) }
	get("/ra", p.home)
	get("/ra/lists/{list}", p.worklist)
	get("/ra/lists/{list}.csv", p.worklistFile)
	get("/ra/references/{reference}", p.reference)
	get("/ra/people/{uid}", p.person)
	get("/ra/people/{uid}/why", p.personWhy)
	get("/ra/cards/{serial}.pem", p.certificate)
	get("/ra/organisations", p.organisations)
	get("/ra/organisations/{code}", p.organisation)
	get("/ra/policy", p.policy)
	get(applicantsPath, p.applicants)
	get(applicantsPath+"/{id}", p.applicant)
	get("/ra/requests", p.requests)
	get("/ra/requests/{id}", p.request)
	post("/ra/requests/{id}", p.decide)
	get("/ra/why/{kind}", p.why)
	get("/ra/change/{kind}", p.showForm)
	post("/ra/change/{kind}", p.checkForm)
	post("/ra/change/{kind}/do", p.makeChange)
	r.Get("/ra/again", p.signedIn(true, p.again))
	r.Get("/ra/bulk", p.signedIn(true, p.askFile))
	files.Post("/ra/bulk", p.signedIn(false, p.checkFile))
	files.Post("/ra/bulk/do", p.signedIn(false, p.applyFile))
}

// maxBack bounds an address that somebody comes back to: more is no page of ours.
const maxBack = 1 << 10

// login is the login that the pages want.
func (p *Pages) login(back string, fresh bool) idp.Login {
	l := idp.Login{ClientID: idp.RegistrationClient, Scopes: []string{"openid"}, Wants: []idp.ACR{idp.AAL3Any}, State: back, StartedAt: p.Now()}
	if fresh {
		age := idp.FreshFor
		l.MaxAge, l.Card = &age, true
	}
	return l
}

// back is where somebody comes back to who had to sign in. The address of a
// form says to what it is, so who posted one comes back to it.
func back(r *http.Request) string {
	address := r.URL.RequestURI()
	if route, ok := cutDo(r.URL.Path); ok {
		address = route
		if r.URL.RawQuery != "" {
			address += "?" + r.URL.RawQuery
		}
	}
	if len(address) > maxBack {
		return "/ra"
	}
	return address
}

// visit is one request of somebody whom the registration authority knows.
type visit struct {
	*http.Request
	w     http.ResponseWriter
	actor registry.Actor
	held  []registry.Held
	lang  string
}

// handler answers whoever holds an authority.
type handler func(v visit) error

// signedIn calls h for whoever holds an authority and is signed in as the pages
// want, and sends everybody else to sign in or tells them whom to ask.
func (p *Pages) signedIn(fresh bool, h handler) http.HandlerFunc {
	return p.Server.Page(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		seen, err := p.Server.SignedIn(r, p.login(back(r), fresh))
		if err != nil {
			return err
		}
		if seen.Session == nil || seen.Step != idp.Return || seen.Err != nil {
			return p.Server.Begin(w, r, seen)
		}
		if err := p.Accounts.Seen(r.Context(), *seen.Session); err != nil {
			return err
		}
		v := visit{Request: r, w: w, lang: p.Server.Frame(r).Lang}
		v.actor = registry.Actor{Person: seen.Person, Session: *seen.Session, Request: api.RequestID(r.Context()), Lang: v.lang}
		if v.held, err = p.Service.Admit(v.actor); err != nil {
			return p.stranger(v, err)
		}
		return h(v)
	})
}

// signInAgain sends somebody to sign in afresh, and back to this page.
func (p *Pages) signInAgain(v visit) error {
	seen, err := p.Server.SignedIn(v.Request, p.login(back(v.Request), true))
	if err != nil {
		return err
	}
	return p.Server.Begin(v.w, v.Request, seen)
}

// fresh says whether somebody signed in lately enough for a kind of change.
func (p *Pages) fresh(v visit, kind registry.Kind) bool {
	for _, g := range p.Service.Policy.Table(kind) {
		if g.Fresh {
			return v.actor.Session.MayAdd(authenticators.AAL3, p.Now()) == nil
		}
	}
	return true
}

// stranger tells somebody who holds no authority so, and whom to ask.
func (p *Pages) stranger(v visit, why error) error {
	status, m := p.Server.Message(v.Request, why)
	if status >= http.StatusInternalServerError {
		return why
	}
	page := web.RA{Page: p.Server.Frame(v.Request), Title: p.say(v, "ra.stranger.heading"), Message: &m, Intro: p.say(v, "ra.stranger.text")}
	page.Who = v.actor.Person.Name.Display
	return p.Server.Render(v.w, status, "ra", page)
}

// again is where somebody signs in afresh beside a form that they have filled
// in.
func (p *Pages) again(v visit) error {
	page := p.page(v, "", "ra.again.heading")
	page.Intro = p.say(v, "ra.again.text")
	return p.render(v, page)
}

// page is what every page has. title is the key of its heading.
func (p *Pages) page(v visit, here, title string) web.RA {
	page := web.RA{Page: p.Server.Frame(v.Request), Title: p.say(v, title)}
	page.Who = v.actor.Person.Name.Display
	for _, n := range []struct{ href, key string }{
		{"/ra", "ra.nav.find"}, {"/ra/organisations", "ra.nav.organisations"}, {"/ra/requests", "ra.nav.requests"},
		{"/ra/bulk", "ra.nav.bulk"}, {"/ra/policy", "ra.nav.policy"},
	} {
		page.Nav = append(page.Nav, web.NavItem{Href: n.href, Label: p.say(v, n.key), Here: n.href == here})
	}
	if kind := v.URL.Query().Get("done"); known(registry.Kind(kind)) {
		page.Done = p.say(v, "ra.event."+kind) + "."
		if v.URL.Query().Get("waits") != "" {
			page.Done = p.say(v, "ra.done.waits", "change", p.say(v, "ra.change."+kind))
		}
	}
	if v.Method != http.MethodGet {
		page.Here = "" // what was posted is not shown again in another language
	}
	return page
}

func (p *Pages) render(v visit, page web.RA) error {
	return p.Server.Render(v.w, http.StatusOK, "ra", page)
}

// say returns words of the catalogue.
func (p *Pages) say(v visit, key string, args ...any) string {
	return p.Server.Site.Text(v.lang, key, args...)
}

// maybe returns words of the catalogue, or "" where it has none.
func (p *Pages) maybe(v visit, key string, args ...any) string {
	if text := p.say(v, key, args...); text != key {
		return text
	}
	return ""
}

// day is a day in words.
func (p *Pages) day(v visit, d idp.Date) string {
	t, err := d.Begins()
	if d == "" || err != nil {
		return string(d)
	}
	return p.Server.Site.Date(v.lang, t)
}

// moment is a day and a time in words.
func (p *Pages) moment(v visit, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return p.Server.Site.Moment(v.lang, idp.InLondon(t))
}

func (p *Pages) today() idp.Date { return idp.DateOf(p.Now()) }

// one returns what the registry has of one person, or registry.ErrNoPerson.
func (p *Pages) one(v visit, uid string) (*registry.Person, registry.Records, error) {
	if !idp.IsUID(uid) {
		return nil, registry.Records{}, registry.ErrNoPerson
	}
	r, err := p.Service.Keeper.Records(v.Context(), registry.Touch{People: distinct(v.actor.Person.UID, uid)})
	if err != nil {
		return nil, r, err
	}
	if r.People[uid] == nil {
		return nil, r, registry.ErrNoPerson
	}
	return r.People[uid], r, p.addOrganisations(v, &r)
}

// addOrganisations reads where the people of records work, and what is above, if
// that is not in them yet.
func (p *Pages) addOrganisations(v visit, r *registry.Records) error {
	var codes []string
	for _, person := range r.People {
		for _, pos := range person.Positions {
			if r.Organisations[pos.Organisation] == nil && !slices.Contains(codes, pos.Organisation) {
				codes = append(codes, pos.Organisation)
			}
		}
	}
	if len(codes) == 0 {
		return nil
	}
	more, err := p.Service.Keeper.Records(v.Context(), registry.Touch{Organisations: codes})
	for code, o := range more.Organisations {
		r.Organisations[code] = o
	}
	return err
}

func distinct(a, b string) []string {
	if a == b {
		return []string{a}
	}
	return []string{a, b}
}

// organisationName is the name of an organisation with its code.
func organisationName(r registry.Records, code string) string {
	if o := r.Organisations[code]; o != nil && o.Name != "" {
		return o.Name
	}
	return code
}

// names are the names of people, by their uids; of who is not there, the uid.
func (p *Pages) names(ctx context.Context, uids ...string) (map[string]string, error) {
	names, ask := map[string]string{}, []string{}
	for _, uid := range uids {
		if _, seen := names[uid]; !seen && idp.IsUID(uid) {
			names[uid] = uid
			ask = append(ask, uid)
		}
	}
	if len(ask) == 0 {
		return names, nil
	}
	r, err := p.Service.Keeper.Records(ctx, registry.Touch{People: ask})
	for uid, person := range r.People {
		if person != nil {
			names[uid] = display(person.Person)
		}
	}
	return names, err
}

// display is what somebody is called.
func display(p directory.Person) string {
	if name := p.IDP(nil).Name.Display; name != "" {
		return name
	}
	return p.UID
}

// reason is the refusal that err is, whatever says more around it.
func reason(err error) error {
	if no, ok := errors.AsType[*registry.Refused](err); ok {
		return no.Refusal
	}
	return err
}
