package ra

import (
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// words are the message of a refusal. Nothing went wrong, so nothing is logged.
func (p *Pages) words(v visit, why idp.Refusal) (string, web.Message) {
	code := api.Code(why)
	return code, p.Server.Site.Message(v.lang, code, "application", p.say(v, "ra.application"))
}

// why explains who may make a change, and why this person may not: the table of
// rights as it is, and what they hold.
func (p *Pages) why(v visit) error {
	f, ok := formOf(registry.Kind(chi.URLParam(v.Request, "kind")))
	if !ok {
		return idp.ErrNotFound
	}
	a := asked{f, v.URL.Query()}
	s, err := p.subject(v, a)
	if err != nil {
		return err
	}
	page := p.page(v, "", "ra.why.title")
	page.Caption, page.Back = "", &web.Link{Href: s.page(a), Label: p.say(v, "back")}
	page.Title = p.say(v, "ra.why.of", "change", p.say(v, "ra.change."+string(f.kind)))
	page.Facts = p.subjectFacts(v, s, a)
	e, err := p.explained(v, a)
	if err != nil {
		return err
	}
	if e.Allowed {
		page.Intro = p.say(v, "ra.why.may")
		page.Body = append(page.Body, web.Section{ID: "go", Heading: p.say(v, "ra.why.go"), Links: []web.Act{{Href: a.address(""), Label: p.say(v, "ra.change."+string(f.kind))}}})
	} else if e.Why != "" {
		_, m := p.words(v, e.Why)
		page.Message = &m
	}
	if len(e.Needs) > 0 {
		page.Facts = append(page.Facts, web.Fact{Name: p.say(v, "ra.why.needs"), Value: strings.Join(e.Needs, ", ")})
	}
	page.Body = append(page.Body, p.table(v, e.May), p.holding(v, e.Holds))
	return p.render(v, page)
}

// explained asks why for what somebody would do, with what stands in for what
// is not filled in: the answer that says they may, if there is one.
func (p *Pages) explained(v visit, a asked) (registry.Explanation, error) {
	e := registry.Explanation{Kind: a.kind, May: p.Service.Policy.Table(a.kind), Holds: v.held}
	for _, ch := range a.trials(a.values, v.held) {
		tried, err := p.Service.Why(v.Context(), v.actor, ch)
		if len(refusedFields(err)) > 0 {
			continue
		}
		if err != nil {
			return e, err
		}
		if e = tried; e.Allowed {
			break
		}
	}
	return e, nil
}

// table is the row of the table of rights for a change.
func (p *Pages) table(v visit, may []registry.Grant) web.Section {
	heads := []string{p.say(v, "ra.head.authority"), p.say(v, "ra.head.signin"), p.say(v, "ra.head.second")}
	t := &web.Table{Caption: p.say(v, "ra.why.who"), Heads: heads}
	for _, g := range may {
		signin := p.say(v, "account.held.level", "level", digits(g.Level))
		if g.Fresh {
			signin += ", " + p.say(v, "ra.why.fresh")
		}
		second := p.authorities(v, g.Second)
		if second == "" {
			second = p.say(v, "ra.why.alone")
		}
		row := web.Row{Cells: []web.Cell{{Text: p.say(v, "ra.authority."+string(g.Authority))}, {Head: heads[1], Text: signin}, {Head: heads[2], Text: second}}}
		if g.Home {
			row.Cells[0].Lines = []string{p.say(v, "ra.why.home")}
		}
		t.Rows = append(t.Rows, row)
	}
	return web.Section{ID: "who", Heading: t.Caption, Table: t}
}

// holding is what somebody holds in the registration authority.
func (p *Pages) holding(v visit, held []registry.Held) web.Section {
	sec := web.Section{ID: "holding", Heading: p.say(v, "ra.why.holds"), None: p.say(v, "ra.why.nothing")}
	for _, h := range slices.Compact(held) {
		sec.Facts = append(sec.Facts, web.Fact{Name: p.say(v, "ra.authority."+string(h.Authority)), Value: h.Organisation})
	}
	if len(sec.Facts) > 0 {
		sec.None = ""
	}
	return sec
}
