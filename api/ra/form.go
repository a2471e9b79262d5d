package ra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// checkLife is how long somebody may look at what a change would do.
const checkLife = 15 * time.Minute

// looked is what somebody has looked at: the answer to a token that their page
// brings back once.
type looked struct {
	Session string `json:"session"` // key
	Digest  string `json:"digest"`  // of all that it says, hashed
}

func cutDo(path string) (string, bool) { return strings.CutSuffix(path, "/do") }

// asked is a form that somebody asks for, with what they sent.
type asked struct {
	form
	values url.Values
}

// asks returns the form that a request is for.
func (p *Pages) asks(v visit) (asked, error) {
	f, ok := formOf(registry.Kind(chi.URLParam(v.Request, "kind")))
	if !ok {
		return asked{}, idp.ErrNotFound
	}
	a := asked{form: f}
	if err := a.parsed(v); err != nil {
		return a, err
	}
	if v.Method == http.MethodPost {
		named(a.values)
		told(a.values)
	}
	if a.values.Get("remove") == "true" {
		a.short = true // which rule it is, is known
	}
	return a, nil
}

// address is where a form is, with what it is of.
func (a asked) address(more string) string {
	q := url.Values{}
	for _, name := range a.targets() {
		if value := a.values.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	address := "/ra/change/" + string(a.kind) + more
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return address
}

// showForm shows a form, or at once what it would do where nothing but a reason
// is to be filled in. Who has no right to it learns why.
func (p *Pages) showForm(v visit) error {
	a, err := p.asks(v)
	if err != nil {
		return err
	}
	if why := p.asking(v).may(a.form, a.values); why != "" {
		http.Redirect(v.w, v.Request, strings.Replace(v.URL.RequestURI(), "/ra/change/", "/ra/why/", 1), http.StatusSeeOther)
		return nil
	}
	if !p.fresh(v, a.kind) {
		return p.signInAgain(v)
	}
	if a.short {
		return p.look(v, a, nil)
	}
	s, err := p.subject(v, a)
	if err != nil {
		return err
	}
	a.values = s.prefilled(a)
	return p.fill(v, a, nil)
}

// checkForm shows what a change would do, or the form again with what is wrong.
func (p *Pages) checkForm(v visit) error {
	a, err := p.asks(v)
	if len(refusedFields(err)) > 0 {
		return p.fill(v, a, err)
	}
	if err != nil {
		return err
	}
	if a.values.Get("edit") != "" {
		return p.fill(v, a, nil)
	}
	return p.look(v, a, nil)
}

// look shows what a change would do, and what was wrong with it when it was to
// be done.
func (p *Pages) look(v visit, a asked, problem error) error {
	tried := a
	if a.short {
		tried.values = clone(a.values)
		if strings.TrimSpace(tried.values.Get("reason")) == "" {
			tried.values.Set("reason", "-") // it is given on the page that this makes
		}
	}
	ch, err := tried.change(tried.values)
	var preview registry.Preview
	if err == nil {
		preview, err = p.Service.Check(v.Context(), v.actor, ch)
	}
	if err != nil {
		return p.refused(v, a, err)
	}
	token, err := p.remember(v, a.digest(a.values))
	if err != nil {
		return err
	}
	return p.checkPage(v, a, preview, token, problem)
}

// remember keeps what somebody looks at, and returns the token that their page
// brings back once.
func (p *Pages) remember(v visit, digest string) (string, error) {
	b, err := json.Marshal(looked{Session: v.actor.Session.Key, Digest: idp.Hash(digest)})
	if err != nil {
		return "", fmt.Errorf("write check: %w", err)
	}
	token := idp.NewSecret()
	if err := p.Checks.Ask(v.Context(), idp.Hash(token), b, p.Now().Add(checkLife)); err != nil {
		return "", fmt.Errorf("keep check: %w", err)
	}
	return token, nil
}

func clone(values url.Values) url.Values {
	c := url.Values{}
	for name, all := range values {
		c[name] = append([]string(nil), all...)
	}
	return c
}

// refused shows a form again with what is wrong with it; a short one has no
// form, and says it on a page.
func (p *Pages) refused(v visit, a asked, err error) error {
	if a.short && len(refusedFields(err)) == 0 {
		return reason(err)
	}
	return p.fill(v, a, err)
}

// errUnseen is of a change that nobody has looked at, or too long ago, or that
// is another than the one they looked at.
var errUnseen = errors.New("the change was not looked at before")

// makeChange makes a change that somebody has looked at.
func (p *Pages) makeChange(v visit) error {
	a, err := p.asks(v)
	if err != nil {
		return err
	}
	if err := p.seen(v, v.PostFormValue("token"), a.digest(a.values)); err != nil {
		if errors.Is(err, errUnseen) {
			return p.look(v, a, err)
		}
		return err
	}
	ch, err := a.change(a.values)
	var done registry.Done
	if err == nil {
		done, err = p.Service.Do(v.Context(), v.actor, ch)
	}
	switch {
	case err == nil:
	case errors.Is(err, registry.ErrConfirm), a.short && len(refusedFields(err)) > 0, errors.Is(err, idp.ErrStale):
		return p.look(v, a, err)
	default:
		return p.refused(v, a, err)
	}
	if done.Secret != "" {
		return p.showSecret(v, a, done)
	}
	http.Redirect(v.w, v.Request, p.next(a, done), http.StatusSeeOther)
	return nil
}

// seen takes a token, which is good once, and says whether this is what its
// page showed.
func (p *Pages) seen(v visit, token, digest string) error {
	b, err := p.Checks.Take(v.Context(), idp.Hash(token), p.Now())
	if errors.Is(err, authenticators.ErrAnswer) {
		return errUnseen
	}
	if err != nil {
		return err
	}
	var l looked
	if err := json.Unmarshal(b, &l); err != nil || l.Session != v.actor.Session.Key || l.Digest != idp.Hash(digest) {
		return errUnseen
	}
	return nil
}

// next is the page that shows what a change has made of things.
func (p *Pages) next(a asked, done registry.Done) string {
	q := url.Values{"done": {string(a.kind)}}
	if done.Request != "" {
		q.Set("waits", "1")
		return "/ra/requests/" + url.PathEscape(done.Request) + "?" + q.Encode()
	}
	return p.belongs(a, done) + "?" + q.Encode()
}

// belongs is the page that a form belongs to.
func (p *Pages) belongs(a asked, done registry.Done) string {
	switch a.kind {
	case registry.SeriesRuleSet, registry.AgentRuleSet:
		return "/ra/policy"
	case registry.ApplicantInvited, registry.ApplicantRefused:
		return applicantsPath
	case registry.OrganisationAdded, registry.OrganisationChanged, registry.OrganisationClosed, registry.OrganisationsMerged:
		return "/ra/organisations/" + url.PathEscape(a.values.Get("code"))
	case registry.PositionsMoved:
		return "/ra/organisations/" + url.PathEscape(a.values.Get("from"))
	case registry.NoticeSent:
		return "/ra/organisations/" + url.PathEscape(a.values.Get("organisation"))
	case registry.PersonAdded, registry.RobotAdded:
		if done.ID != "" {
			return "/ra/people/" + url.PathEscape(done.ID)
		}
		return "/ra"
	case registry.PeopleMerged:
		return "/ra/people/" + url.PathEscape(a.values.Get("into"))
	}
	if uid := a.values.Get("uid"); idp.IsUID(uid) {
		return "/ra/people/" + uid
	}
	if done.Person != nil {
		return "/ra/people/" + done.Person.UID
	}
	if uids := list(a.values.Get("uids")); len(uids) == 1 && idp.IsUID(uids[0]) {
		return "/ra/people/" + uids[0]
	}
	return "/ra"
}

// showSecret shows what is shown once. The page is not kept anywhere, and its
// address leads to the form.
func (p *Pages) showSecret(v visit, a asked, done registry.Done) error {
	page := p.page(v, "", "ra.event."+string(a.kind))
	page.Secret = &web.Secret{Label: p.say(v, "ra.secret.label"), Value: done.Secret, Text: p.say(v, "ra.secret.text", "time", idp.InLondon(done.Until).Format("15:04"))}
	if p.Server.Enrol != nil {
		page.Secret.Where = &web.Link{Href: "/enrol", Label: p.say(v, "ra.secret.where", "address", p.Server.Desk.Origin+"/enrol")}
	}
	page.Back = &web.Link{Href: p.belongs(a, done), Label: p.say(v, "ra.back.person")}
	return p.render(v, page)
}
