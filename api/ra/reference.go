package ra

import (
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// remedies are the changes by which the registration authority puts right what
// somebody was refused for, by the code of the message.
var remedies = map[string][]registry.Kind{
	"AAL-01": {registry.AuthenticatorCode, registry.CardIssued},
	"AUT-01": {registry.AuthenticatorCode},
	"CRD-06": {registry.CardIssued},
	"CRD-07": {registry.CardIssued},
	"CRT-01": {registry.CardIssued},
	"CRT-03": {registry.CardIssued},
	"CRT-04": {registry.CardIssued},
	"LIM-02": {registry.LockLifted},
	"PRF-01": {registry.PersonReopened},
	"PRF-02": {registry.PersonVerified},
	"PRF-03": {registry.PersonVerified},
	"ROL-01": {registry.PositionAssigned},
}

// reference says what happened in the request that somebody reads the reference
// of: the cause, and what puts it right.
func (p *Pages) reference(v visit) error {
	said := chi.URLParam(v.Request, "reference")
	if !references.MatchString(said) {
		return idp.ErrNotFound
	}
	events, err := p.Service.Finder.ByReference(v.Context(), said)
	if err != nil {
		return err
	}
	page := p.page(v, "", "ra.reference.title")
	page.Caption, page.Back = said, &web.Link{Href: "/ra", Label: p.say(v, "ra.nav.find")}
	if len(events) == 0 {
		page.Intro = p.say(v, "ra.reference.none")
		return p.render(v, page)
	}
	var who []string
	for _, e := range events {
		who = append(who, e.Actor, e.Subject)
	}
	names, err := p.names(v.Context(), who...)
	if err != nil {
		return err
	}
	for _, e := range events {
		if cause := p.cause(v, e, names); cause != nil {
			page.Body = append(page.Body, *cause)
		}
	}
	page.Body = append(page.Body, p.events(v, "ra.reference.events", events, names))
	return p.render(v, page)
}

// cause is what somebody was refused for and what puts it right; nil if the
// event is no refusal.
func (p *Pages) cause(v visit, e idp.Event, names map[string]string) *web.Section {
	m, ok := p.Server.Explain(v.lang, e.Reason)
	if !ok {
		return nil
	}
	code := m.Code
	m = p.Server.Site.Message(v.lang, code, "application", p.client(v, e.Client), "date", "…", "tries", "…", "time", "…")
	sec := &web.Section{ID: "cause-" + code, Heading: m.Heading, Facts: []web.Fact{
		{Name: p.say(v, "ra.reference.told"), Value: m.Text + " " + m.Action},
		{Name: p.say(v, "ra.reference.code"), Value: code, Code: true},
	}}
	if remedy := p.maybe(v, "ra.remedy."+code); remedy != "" {
		sec.Facts = append(sec.Facts, web.Fact{Name: p.say(v, "ra.reference.remedy"), Value: remedy})
	}
	if e.Subject == "" {
		return sec
	}
	sec.Facts = append(sec.Facts, web.Fact{Name: p.say(v, "ra.head.person"), Value: names[e.Subject], Href: "/ra/people/" + e.Subject})
	rs := p.asking(v)
	for _, kind := range remedies[code] {
		f, _ := formOf(kind)
		name := "uid"
		if !slices.Contains(f.targets(), name) {
			name = "uids"
		}
		pairs := []string{name, e.Subject}
		if kind == registry.LockLifted {
			pairs = append(pairs, "authenticator", "totp")
		}
		sec.Links = append(sec.Links, rs.act(kind, "", pairs...)...)
	}
	return sec
}
