package ra

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// waiting returns what waits for a second person: what this one may decide on,
// as far as what they hold says, and all else.
func (p *Pages) waiting(v visit) (mine, others []registry.Request, err error) {
	all, _, err := p.Service.Finder.Waiting(v.Context(), registry.Query{Most: 200}, p.Now())
	for _, q := range all {
		by := p.approvers(q.Kind)
		if q.AskedBy != v.actor.Person.UID && slices.ContainsFunc(v.held, func(h registry.Held) bool { return slices.Contains(by, h.Authority) }) {
			mine = append(mine, q)
		} else {
			others = append(others, q)
		}
	}
	return mine, others, err
}

// approvers are those who may be the second person for a kind of change,
// whoever asked for it. Which of them may for one request the service says.
func (p *Pages) approvers(kind registry.Kind) []registry.Authority {
	var all []registry.Authority
	for _, g := range p.Service.Policy.Table(kind) {
		for _, a := range g.Second {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}

// requests lists what waits for a second person.
func (p *Pages) requests(v visit) error {
	mine, others, err := p.waiting(v)
	if err != nil {
		return err
	}
	page := p.page(v, "/ra/requests", "ra.nav.requests")
	page.Intro = p.say(v, "ra.requests.text")
	for _, part := range []struct {
		id   string
		list []registry.Request
	}{{"mine", mine}, {"others", others}} {
		sec := web.Section{ID: part.id, Heading: p.say(v, "ra.requests."+part.id), None: p.say(v, "ra.requests.none")}
		if sec.Table, err = p.requestTable(v, sec.Heading, part.list); err != nil {
			return err
		}
		page.Body = append(page.Body, sec)
	}
	return p.render(v, page)
}

// requestTable is a table of requests; nil if there are none.
func (p *Pages) requestTable(v visit, caption string, all []registry.Request) (*web.Table, error) {
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // no table is what a page shows of nothing
	}
	var who []string
	for _, q := range all {
		who = append(who, q.AskedBy, q.UID)
	}
	names, err := p.names(v.Context(), who...)
	if err != nil {
		return nil, err
	}
	heads := []string{p.say(v, "ra.head.what"), p.say(v, "ra.head.person"), p.say(v, "ra.head.organisation"), p.say(v, "ra.head.asked"), p.say(v, "ra.head.until")}
	t := &web.Table{Caption: caption, Heads: heads}
	for _, q := range all {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: p.say(v, "ra.change."+string(q.Kind)), Href: "/ra/requests/" + url.PathEscape(q.ID)},
			{Head: heads[1], Text: cmp.Or(names[q.UID], "–")}, {Head: heads[2], Text: cmp.Or(q.At, "–")},
			{Head: heads[3], Text: cmp.Or(names[q.AskedBy], q.AskedBy), Lines: []string{p.moment(v, q.AskedAt)}}, {Head: heads[4], Text: p.moment(v, q.Until)}}})
	}
	return t, nil
}

// find returns a request by its id.
func (p *Pages) find(v visit) (registry.Request, registry.Records, error) {
	id := chi.URLParam(v.Request, "id")
	r, err := p.Service.Keeper.Records(v.Context(), registry.Touch{Requests: []string{id}})
	if err != nil {
		return registry.Request{}, r, err
	}
	if r.Requests[id] == nil {
		return registry.Request{}, r, registry.ErrNoRequest
	}
	return *r.Requests[id], r, nil
}

// request shows what waits for a second person, with the buttons by which they
// decide on it.
func (p *Pages) request(v visit) error { return p.requestPage(v, nil) }

func (p *Pages) requestPage(v visit, problem error) error {
	q, _, err := p.find(v)
	if err != nil {
		return err
	}
	names, err := p.names(v.Context(), q.AskedBy, q.UID, q.By)
	if err != nil {
		return err
	}
	page := web.RAForm{RA: p.page(v, "", "ra.change."+string(q.Kind)), Action: v.URL.Path}
	page.Here = ""
	page.Back = &web.Link{Href: "/ra/requests", Label: p.say(v, "ra.nav.requests")}
	page.Tags = []web.Tag{p.requestTag(v, q)}
	page.Facts = p.requestFacts(v, q, names)
	body, err := p.requestBody(v, q)
	if err != nil {
		return err
	}
	page.Body = body
	if q.State != registry.Waiting || !p.Now().Before(q.Until) {
		return p.render(v, page.RA)
	}
	own := q.AskedBy == v.actor.Person.UID
	page.Button, page.Cancel = p.say(v, "ra.request.decide"), "/ra/requests"
	decision := web.FormField{ID: "f-decision", Name: "decision", As: "radios", Label: p.say(v, "ra.request.decision")}
	for _, d := range []string{"approve", "refuse"} {
		if !own {
			decision.Options = append(decision.Options, web.Option{Value: d, Label: p.say(v, "ra.request."+d), Chosen: v.FormValue("decision") == d})
		}
	}
	if own {
		page.Button, page.Stops = p.say(v, "ra.request.withdraw"), true
		page.Hidden = []web.Detail{{Name: "decision", Value: "refuse"}}
	} else {
		page.Fields = append(page.Fields, decision)
	}
	page.Fields = append(page.Fields, web.FormField{ID: "f-reason", Name: "reason", As: "text", Label: p.say(v, "ra.request.reason"), Hint: p.say(v, "ra.request.reason.hint"), Value: v.FormValue("reason")})
	status := http.StatusOK
	if problem != nil {
		field := &page.Fields[0]
		if status, err = p.decisionProblem(v, &page, field, problem); err != nil {
			return err
		}
	}
	return p.Server.Render(v.w, status, "ra-form", page)
}

// decisionProblem says on the page of a request what is wrong with a decision.
func (p *Pages) decisionProblem(v visit, page *web.RAForm, field *web.FormField, problem error) (int, error) {
	status, m := p.message(v, problem)
	if status >= http.StatusInternalServerError {
		return status, problem
	}
	page.Message, page.Again = &m, p.againLink(v, problem)
	field.Problem = m.Text
	if m.Code == "" || len(refusedFields(problem)) > 0 {
		field.Problem = p.say(v, "ra.request.choose")
	}
	page.Problems = []web.FieldProblem{{ID: field.ID, Text: field.Problem}}
	return status, nil
}

func (p *Pages) requestTag(v visit, q registry.Request) web.Tag {
	state, tone := q.State, map[string]string{registry.Waiting: "warn", registry.Approved: "good"}[q.State]
	if q.State == registry.Waiting && !p.Now().Before(q.Until) {
		state, tone = "old", "stop"
	}
	return web.Tag{Text: p.say(v, "ra.request.state."+state), Tone: tone}
}

func (p *Pages) requestFacts(v visit, q registry.Request, names map[string]string) []web.Fact {
	facts := []web.Fact{
		{Name: p.say(v, "ra.head.asked"), Value: cmp.Or(names[q.AskedBy], q.AskedBy) + ", " + p.moment(v, q.AskedAt), Href: "/ra/people/" + q.AskedBy},
		{Name: p.say(v, "ra.head.until"), Value: p.moment(v, q.Until)},
		{Name: p.say(v, "ra.head.second"), Value: p.authorities(v, p.approvers(q.Kind))},
	}
	if q.UID != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.head.person"), Value: cmp.Or(names[q.UID], q.UID), Href: "/ra/people/" + q.UID})
	}
	if q.At != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.head.organisation"), Value: q.At, Href: "/ra/organisations/" + url.PathEscape(q.At)})
	}
	if q.By != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.request.by"), Value: cmp.Or(names[q.By], q.By)})
	}
	if q.Reason != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.field.reason"), Value: q.Reason})
	}
	return facts
}

// requestBody is what a request asks for, field by field.
func (p *Pages) requestBody(v visit, q registry.Request) ([]web.Section, error) {
	sec := web.Section{ID: "asked", Heading: p.say(v, "ra.check.entered")}
	values, err := valuesOf(q.Change)
	if err != nil {
		return nil, err
	}
	f, ok := formOf(q.Kind)
	if !ok {
		return nil, nil
	}
	for i := range f.fields {
		if f.fields[i].as == target {
			f.fields[i].as = text // all of it is to be seen
		}
	}
	sec.Facts = p.entered(v, asked{f, values})
	return []web.Section{sec}, nil
}

// decide takes the decision of a second person, or of who asked.
func (p *Pages) decide(v visit) error {
	decision := v.PostFormValue("decision")
	if decision != "approve" && decision != "refuse" {
		return p.requestPage(v, &registry.Refused{Refusal: registry.ErrField, Fields: []registry.Field{{Name: "decision", Problem: registry.Missing}}})
	}
	id := chi.URLParam(v.Request, "id")
	_, err := p.Service.Decide(v.Context(), v.actor, id, decision == "approve", v.PostFormValue("reason"))
	if err != nil {
		if status, _ := p.message(v, err); status >= http.StatusInternalServerError {
			return err
		}
		return p.requestPage(v, err)
	}
	http.Redirect(v.w, v.Request, "/ra/requests/"+url.PathEscape(id), http.StatusSeeOther)
	return nil
}
