package ra

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// mostInFile is how many rows a file has at most.
const mostInFile = 10_000

// listOf is the worklist that an address names.
func listOf(v visit, name string) (registry.List, error) {
	l := registry.List(name)
	if !slices.Contains(registry.Lists, l) {
		return "", idp.ErrNotFound
	}
	return l, nil
}

// worklist shows who is on a list.
func (p *Pages) worklist(v visit) error {
	l, err := listOf(v, chi.URLParam(v.Request, "list"))
	if err != nil {
		return err
	}
	q, now := p.asksOf(v)
	people, next, err := p.Service.Worklist(v.Context(), l, q, now)
	if err != nil {
		return err
	}
	page := p.page(v, "/ra", "ra.list."+string(l))
	page.Intro = p.say(v, "ra.list."+string(l)+".text")
	page.Back = &web.Link{Href: "/ra", Label: p.say(v, "ra.lists.heading")}
	sec := web.Section{ID: "people", Heading: p.Server.Site.Count(v.lang, "ra.found", len(people)), None: p.say(v, "ra.list.none")}
	sec.Table = p.people(v, page.Title, people, p.say(v, "ra.head.why"))
	if next != "" {
		sec.Heading = p.say(v, "ra.found.more", "n", digits(len(people)))
		sec.Links = append(sec.Links, web.Act{Href: "/ra/lists/" + string(l) + "?" + query("after", next, "at", q.At), Label: p.say(v, "ra.next")})
	}
	if len(people) > 0 {
		sec.Links = append(sec.Links, web.Act{Href: "/ra/lists/" + string(l) + ".csv?" + query("at", q.At, "day", v.URL.Query().Get("day")), Label: p.say(v, "ra.list.file")})
	}
	page.Body = []web.Section{sec}
	return p.render(v, page)
}

// asksOf is what part of a list somebody wants, and of which day.
func (p *Pages) asksOf(v visit) (registry.Query, time.Time) {
	asked := v.URL.Query()
	now := p.Now()
	if day := idp.Date(asked.Get("day")); day != "" {
		if begins, err := day.Begins(); err == nil {
			now = begins
		}
	}
	return registry.Query{At: asked.Get("at"), After: asked.Get("after"), Most: pageOf}, now
}

// worklistFile is a list as a file.
func (p *Pages) worklistFile(v visit) error {
	l, err := listOf(v, chi.URLParam(v.Request, "list"))
	if err != nil {
		return err
	}
	q, now := p.asksOf(v)
	q.Most, q.After = 1000, ""
	var all []registry.Found
	for len(all) < mostInFile {
		people, next, err := p.Service.Worklist(v.Context(), l, q, now)
		if err != nil {
			return err
		}
		all = append(all, people...)
		if next == "" {
			break
		}
		q.After = next
	}
	rows := [][]string{{"uid", "name", "email", "profile", "organisations", "why"}}
	for _, f := range all {
		rows = append(rows, []string{f.UID, f.Display, f.Email, string(f.Profile), strings.Join(f.At, " "), f.Why})
	}
	return file(v.w, url.PathEscape(string(l))+"-"+string(idp.DateOf(now))+".csv", rows)
}

// file answers with a table as a file.
func file(w http.ResponseWriter, name string, rows [][]string) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	c := csv.NewWriter(w)
	for _, row := range rows {
		safe := make([]string, len(row))
		for i, cell := range row {
			safe[i] = plain(cell)
		}
		if err := c.Write(safe); err != nil {
			return nil //nolint:nilerr // whoever asked has gone
		}
	}
	c.Flush()
	return nil
}

// plain keeps a program for tables from taking somebody's name for a formula.
func plain(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n|", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
