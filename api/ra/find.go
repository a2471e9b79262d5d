package ra

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// pageOf is how many people a list shows at once.
const pageOf = 50

// references are eight letters and digits, none of which is taken for another.
var references = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{8}$`)

// home has the one box for everything, what waits for this person, and the
// worklists.
func (p *Pages) home(v visit) error {
	text := strings.TrimSpace(v.URL.Query().Get("q"))
	page := p.page(v, "/ra", "ra.home.heading")
	page.Search = &web.Search{Action: "/ra", Name: "q", Label: p.say(v, "ra.find.label"), Hint: p.say(v, "ra.find.hint"), Value: text, Button: p.say(v, "ra.find.button"), Type: "search"}
	if text != "" {
		return p.found(v, page, text)
	}
	waiting, _, err := p.waiting(v)
	if err != nil {
		return err
	}
	if len(waiting) > 0 {
		for i := range page.Nav {
			if page.Nav[i].Href == "/ra/requests" {
				page.Nav[i].Count = digits(len(waiting))
			}
		}
		sec := web.Section{ID: "waiting", Heading: p.say(v, "ra.waiting.heading")}
		if sec.Table, err = p.requestTable(v, sec.Heading, waiting); err != nil {
			return err
		}
		page.Body = append(page.Body, sec)
	}
	lists := web.Section{ID: "lists", Heading: p.say(v, "ra.lists.heading")}
	lists.Links = []web.Act{{Href: applicantsPath, Label: p.say(v, "ra.applicants")}}
	for _, l := range registry.Lists {
		lists.Links = append(lists.Links, web.Act{Href: "/ra/lists/" + string(l), Label: p.say(v, "ra.list."+string(l))})
	}
	page.Body = append(page.Body, lists)
	rs := p.asking(v)
	if acts := slices.Concat(rs.act(registry.ApplicantInvited, ""), rs.act(registry.PersonAdded, ""), rs.act(registry.RobotAdded, ""), rs.act(registry.OrganisationAdded, "")); len(acts) > 0 {
		page.Groups = append(page.Groups, web.Group{ID: "acts-add", Heading: p.say(v, "ra.acts.add"), Acts: acts})
	}
	page.Groups = append(page.Groups, p.holds(v))
	return p.render(v, page)
}

// holds says what the actor may do here, and as what.
func (p *Pages) holds(v visit) web.Group {
	g := web.Group{ID: "holds", Heading: p.say(v, "ra.holds")}
	for _, h := range v.held {
		g.Acts = append(g.Acts, web.Act{Href: "/ra/organisations/" + h.Organisation,
			Label: p.say(v, "ra.holds.at", "authority", p.say(v, "ra.authority."+string(h.Authority)), "organisation", h.Organisation)})
	}
	return g
}

// found shows whom somebody looked for. What can be but one person's, or a
// reference, leads there at once.
func (p *Pages) found(v visit, page web.RA, text string) error {
	q := registry.Query{Text: text, After: v.URL.Query().Get("after"), Most: pageOf}
	people, next, err := p.Service.Finder.FindPeople(v.Context(), q)
	if err != nil {
		return err
	}
	if references.MatchString(text) {
		events, err := p.Service.Finder.ByReference(v.Context(), text)
		if err != nil {
			return err
		}
		if len(events) > 0 && len(people) == 0 {
			http.Redirect(v.w, v.Request, "/ra/references/"+url.PathEscape(text), http.StatusSeeOther)
			return nil
		}
		if len(events) > 0 {
			page.Body = append(page.Body, web.Section{ID: "reference", Heading: p.say(v, "ra.reference.title"),
				Links: []web.Act{{Href: "/ra/references/" + url.PathEscape(text), Label: text}}})
		}
	}
	if len(people) == 1 && next == "" && len(page.Body) == 0 && (people[0].UID == text || strings.EqualFold(people[0].Email, text)) {
		http.Redirect(v.w, v.Request, "/ra/people/"+people[0].UID, http.StatusSeeOther)
		return nil
	}
	sec := web.Section{ID: "found", Heading: p.Server.Site.Count(v.lang, "ra.found", len(people)), None: p.say(v, "ra.found.none")}
	if next != "" {
		sec.Heading = p.say(v, "ra.found.more", "n", digits(len(people)))
		sec.Links = []web.Act{{Href: "/ra?" + query("q", text, "after", next), Label: p.say(v, "ra.next")}}
	}
	sec.Table = p.people(v, sec.Heading, people, "")
	page.Body = append(page.Body, sec)
	return p.render(v, page)
}

// people is a table of people; nil if there are none. why is the head of why
// they are on the list, or "" where they are on none.
func (p *Pages) people(v visit, caption string, people []registry.Found, why string) *web.Table {
	if len(people) == 0 {
		return nil
	}
	heads := []string{p.say(v, "ra.head.person"), p.say(v, "ra.head.uid"), p.say(v, "ra.head.profile"), p.say(v, "ra.head.works")}
	if why != "" {
		heads = append(heads, why)
	}
	t := &web.Table{Caption: caption, Heads: heads}
	for _, f := range people {
		row := web.Row{Off: f.Profile == idp.Closed, Cells: []web.Cell{{Text: f.Display, Href: "/ra/people/" + f.UID}, {Head: heads[1], Text: f.UID, Code: true},
			{Head: heads[2], Tags: []web.Tag{p.profileTag(v, f.Profile)}}, {Head: heads[3], Text: strings.Join(f.At, ", ")}}}
		if f.Email != "" {
			row.Cells[0].Lines = []string{f.Email}
		}
		if row.Cells[3].Text == "" {
			row.Cells[3].Text = "–"
		}
		if why != "" {
			row.Cells = append(row.Cells, web.Cell{Head: why, Text: p.dated(v, f.Why)})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// dated is why somebody is on a list, a day at its beginning in words.
func (p *Pages) dated(v visit, why string) string {
	day, rest, _ := strings.Cut(why, " ")
	if _, err := idp.Date(day).Begins(); day != "" && err == nil {
		return strings.TrimSpace(strings.Join([]string{p.day(v, idp.Date(day)), rest}, ", "))
	}
	if why == "" {
		return "–"
	}
	return why
}
