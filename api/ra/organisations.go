package ra

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// organisations finds organisations by code or name.
func (p *Pages) organisations(v visit) error {
	text := strings.TrimSpace(v.URL.Query().Get("q"))
	all, next, err := p.Service.Finder.FindOrganisations(v.Context(), registry.Query{Text: text, After: v.URL.Query().Get("after"), Most: pageOf})
	if err != nil {
		return err
	}
	page := p.page(v, "/ra/organisations", "ra.nav.organisations")
	page.Search = &web.Search{Action: "/ra/organisations", Name: "q", Label: p.say(v, "ra.organisations.label"), Value: text, Button: p.say(v, "ra.find.button"), Type: "search"}
	sec := web.Section{ID: "found", Heading: p.Server.Site.Count(v.lang, "ra.found", len(all)), None: p.say(v, "ra.found.none")}
	sec.Table = p.organisationTable(v, sec.Heading, all)
	if next != "" {
		sec.Heading = p.say(v, "ra.found.more", "n", digits(len(all)))
		sec.Links = []web.Act{{Href: "/ra/organisations?" + query("q", text, "after", next), Label: p.say(v, "ra.next")}}
	}
	page.Body = []web.Section{sec}
	if acts := p.asking(v).act(registry.OrganisationAdded, ""); len(acts) > 0 {
		page.Groups = []web.Group{{ID: "acts-add", Heading: p.say(v, "ra.acts.add"), Acts: acts}}
	}
	return p.render(v, page)
}

func (p *Pages) organisationTable(v visit, caption string, all []directory.Organisation) *web.Table {
	if len(all) == 0 {
		return nil
	}
	heads := []string{p.say(v, "ra.head.organisation"), p.say(v, "ra.field.code"), p.say(v, "ra.field.parent"), p.say(v, "ra.head.state")}
	t := &web.Table{Caption: caption, Heads: heads}
	for _, o := range all {
		row := web.Row{Cells: []web.Cell{{Text: cmp.Or(o.Name, o.Code), Href: "/ra/organisations/" + url.PathEscape(o.Code)}, {Head: heads[1], Text: o.Code, Code: true},
			{Head: heads[2], Text: cmp.Or(o.Parent, "–")}, {Head: heads[3], Tags: p.organisationTags(v, o)}}}
		row.Off = o.ClosedOn != "" && o.ClosedOn < p.today()
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (p *Pages) organisationTags(v visit, o directory.Organisation) []web.Tag {
	switch {
	case o.ClosedOn == "":
		return []web.Tag{{Text: p.say(v, "ra.organisation.open"), Tone: "good"}}
	case o.ClosedOn < p.today():
		return []web.Tag{{Text: p.say(v, "ra.organisation.closed"), Tone: "stop"}}
	}
	return []web.Tag{{Text: p.say(v, "ra.organisation.closes", "day", p.day(v, o.ClosedOn)), Tone: "warn"}}
}

// organisation is the one page of an organisation.
func (p *Pages) organisation(v visit) error {
	code := chi.URLParam(v.Request, "code")
	r, err := p.Service.Keeper.Records(v.Context(), registry.Touch{People: []string{v.actor.Person.UID}, Organisations: []string{code}})
	if err != nil {
		return err
	}
	o := r.Organisations[code]
	if o == nil {
		return registry.ErrNoOrganisation
	}
	page := p.page(v, "", "ra.nav.organisations")
	page.Title, page.Caption, page.Tags = cmp.Or(o.Name, o.Code), o.Code, p.organisationTags(v, *o)
	page.Back = &web.Link{Href: "/ra/organisations", Label: p.say(v, "ra.nav.organisations")}
	page.Facts = p.organisationFacts(v, r, *o)
	below, err := p.Service.Finder.Below(v.Context(), code)
	if err != nil {
		return err
	}
	names, err := p.Service.Keeper.Records(v.Context(), registry.Touch{Organisations: below[:min(len(below), mostBelow)]})
	if err != nil {
		return err
	}
	page.Body = append(page.Body, p.below(v, code, below, names))
	lists := web.Section{ID: "lists", Heading: p.say(v, "ra.lists.heading")}
	for _, l := range registry.Lists {
		lists.Links = append(lists.Links, web.Act{Href: "/ra/lists/" + string(l) + "?" + query("at", code), Label: p.say(v, "ra.list."+string(l))})
	}
	page.Body = append(page.Body, lists)
	p.organisationActs(v, r, *o, &page)
	return p.render(v, page)
}

func (p *Pages) organisationFacts(v visit, r registry.Records, o directory.Organisation) []web.Fact {
	parent := web.Fact{Name: p.say(v, "ra.field.parent"), Value: p.say(v, "ra.none")}
	if o.Parent != "" {
		parent.Value, parent.Href = organisationName(r, o.Parent)+", "+o.Parent, "/ra/organisations/"+url.PathEscape(o.Parent)
	}
	facts := []web.Fact{parent}
	if o.ClosedOn != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.field.on"), Value: p.day(v, o.ClosedOn)})
	}
	if o.Successor != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.field.successor"), Value: o.Successor, Href: "/ra/organisations/" + url.PathEscape(o.Successor)})
	}
	return facts
}

// mostBelow is how many organisations below another a page shows.
const mostBelow = 200

func (p *Pages) below(v visit, code string, all []string, r registry.Records) web.Section {
	sec := web.Section{ID: "below", Heading: p.say(v, "ra.organisation.below"), None: p.say(v, "ra.none")}
	all = slices.DeleteFunc(slices.Clone(all), func(c string) bool { return c == code })
	for _, c := range all[:min(len(all), mostBelow)] {
		sec.Links = append(sec.Links, web.Act{Href: "/ra/organisations/" + url.PathEscape(c), Label: organisationName(r, c) + ", " + c})
	}
	if len(sec.Links) > 0 {
		sec.None = ""
	}
	return sec
}

func (p *Pages) organisationActs(v visit, r registry.Records, o directory.Organisation, page *web.RA) {
	rs, asks := p.rights(v, r), p.asking(v)
	acts := rs.act(registry.OrganisationChanged, "", "code", o.Code, "name", o.Name, "parent", o.Parent)
	for i := range acts {
		acts[i].Href = "/ra/change/" + string(registry.OrganisationChanged) + "?" + query("code", o.Code)
	}
	acts = slices.Concat(acts, rs.act(registry.OrganisationAdded, "", "parent", o.Code), asks.act(registry.PositionsMoved, "", "from", o.Code),
		asks.act(registry.OrganisationsMerged, "", "code", o.Code), rs.act(registry.OrganisationClosed, "", "code", o.Code),
		rs.act(registry.NoticeSent, "", "organisation", o.Code))
	if len(acts) > 0 {
		page.Groups = append(page.Groups, web.Group{ID: "acts-organisation", Heading: p.say(v, "ra.acts.organisation"), Acts: acts})
	}
	absent := slices.Concat(rs.absent, asks.absent)
	if len(absent) > 0 {
		g := web.Group{ID: "why", Heading: p.say(v, "ra.why.heading")}
		for _, off := range absent {
			g.Acts = append(g.Acts, web.Act{Href: "/ra/why/" + string(off.kind) + "?" + off.target.Encode(), Label: p.say(v, "ra.why.of", "change", p.say(v, "ra.change."+string(off.kind)))})
		}
		page.Groups = append(page.Groups, g)
	}
}
