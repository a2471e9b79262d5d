package ra

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// fill shows a form, with what is wrong with what was sent.
func (p *Pages) fill(v visit, a asked, problem error) error {
	s, err := p.subject(v, a)
	if err != nil {
		return err
	}
	page := web.RAForm{RA: p.page(v, "", "ra.change."+string(a.kind)), Action: a.address(""), Button: p.say(v, "continue"), Cancel: s.page(a)}
	page.Here, page.Title = "", p.title(v, a.kind)
	page.Intro = p.maybe(v, "ra.text."+string(a.kind))
	page.Facts = p.subjectFacts(v, s, a)
	for _, fl := range a.visible() {
		page.Fields = append(page.Fields, p.field(v, a, fl))
		if fl.file != "" {
			page.File = true
			page.Fields = append(page.Fields, p.fileField(v, a, fl))
		}
	}
	page.Lists = p.lists(v, s.records)
	status := http.StatusOK
	if problem != nil {
		if status, err = p.problems(v, a, &page, problem); err != nil {
			return err
		}
	}
	return p.Server.Render(v.w, status, "ra-form", page)
}

// field is a field with its words and what was sent for it.
func (p *Pages) field(v visit, a asked, fl field) web.FormField {
	out := web.FormField{ID: "f-" + strings.ReplaceAll(fl.name, ".", "-"), Name: fl.name, Label: p.label(v, a.kind, fl.name), Hint: p.hint(v, a.kind, fl.name),
		Value: a.values.Get(fl.name), Width: fl.width, List: fl.list, Lines: 3}
	if fl.begins != "" {
		out.Begins = p.say(v, "ra.group."+fl.begins)
	}
	switch fl.as {
	case area:
		out.As, out.Lines = "area", 10
	case lines, codes:
		out.As = "area"
	case date:
		out.As, out.Width = "date", "10"
	case number:
		out.As = "number"
	case tick:
		out.As = "tick"
	case radios, choice, many:
		out.As = map[entry]string{radios: "radios", choice: "choice", many: "many"}[fl.as]
		if fl.as == choice {
			out.Options = append(out.Options, web.Option{Label: p.say(v, "ra.choose")})
		}
		for _, o := range fl.options {
			out.Options = append(out.Options, web.Option{Value: o, Label: p.say(v, "ra.option."+fl.name+"."+o), Chosen: slices.Contains(a.values[fl.name], o)})
		}
	case text, target:
		out.As = "text"
	}
	return out
}

// fileField asks for a file in the place of what a field asks for as text.
func (p *Pages) fileField(v visit, a asked, fl field) web.FormField {
	name := beside(fl.name)
	return web.FormField{ID: "f-" + name, Name: name, As: "file", Accept: fl.file, Label: p.label(v, a.kind, name), Hint: p.hint(v, a.kind, name)}
}

// title is the heading of a change, where what it is of does not stand beside it.
func (p *Pages) title(v visit, kind registry.Kind) string {
	return cmp.Or(p.maybe(v, "ra.title."+string(kind)), p.say(v, "ra.change."+string(kind)))
}

// label is what a field is called: in the form of one kind of change, or in all.
func (p *Pages) label(v visit, kind registry.Kind, name string) string {
	return cmp.Or(p.maybe(v, "ra.field."+string(kind)+"."+name), p.say(v, "ra.field."+name))
}

func (p *Pages) hint(v visit, kind registry.Kind, name string) string {
	return cmp.Or(p.maybe(v, "ra.field."+string(kind)+"."+name+".hint"), p.maybe(v, "ra.field."+name+".hint"))
}

// lists are what a browser may offer: roles, and the organisations at which the
// actor holds an authority or the person works.
func (p *Pages) lists(_ visit, r registry.Records) []web.Choices {
	orgs, known := web.Choices{ID: "organisations"}, web.Choices{ID: "roles"}
	var all []string
	for code := range r.Organisations {
		all = append(all, code)
	}
	slices.Sort(all)
	for _, code := range all {
		if o := r.Organisations[code]; o != nil {
			orgs.Options = append(orgs.Options, web.Option{Value: code, Label: o.Name})
		}
	}
	for _, role := range roles {
		known.Options = append(known.Options, web.Option{Value: role[0], Label: roleName(role[1], role[0])})
	}
	return []web.Choices{orgs, known}
}

// problems says on a form what is wrong: beside the field that it is of, and
// above, with links to the fields.
func (p *Pages) problems(v visit, a asked, page *web.RAForm, problem error) (int, error) {
	status, m := p.message(v, problem)
	if status >= http.StatusInternalServerError {
		return status, problem
	}
	page.Message = &m
	page.Again = p.againLink(v, problem)
	for _, f := range refusedFields(problem) {
		fl, rest, ok := a.problemAt(f.Name)
		said := p.problem(v, f, rest)
		if !ok {
			page.Problems = append(page.Problems, web.FieldProblem{Text: p.say(v, "ra.field."+f.Name) + ": " + said})
			continue
		}
		for i := range page.Fields {
			if page.Fields[i].Name == fl.name && page.Fields[i].Problem == "" {
				page.Fields[i].Problem = page.Fields[i].Label + ": " + said
				page.Problems = append(page.Problems, web.FieldProblem{ID: page.Fields[i].ID, Text: page.Fields[i].Problem})
			}
		}
	}
	if len(page.Problems) == 0 {
		page.Problems = []web.FieldProblem{{Text: m.Text + " " + m.Action}}
	}
	return status, nil
}

// againLink is where somebody signs in again whose sign-in is too old by now:
// beside the form that they have filled in.
func (p *Pages) againLink(v visit, problem error) *web.Link {
	if !errors.Is(problem, idp.ErrStale) {
		return nil
	}
	return &web.Link{Href: "/ra/again", Label: p.say(v, "ra.again.link")}
}

// message is what a person reads of an error of a change.
func (p *Pages) message(v visit, problem error) (int, web.Message) {
	if errors.Is(problem, errUnseen) {
		return http.StatusConflict, web.Message{Text: p.say(v, "ra.unseen")}
	}
	return p.Server.Message(v.Request, reason(problem))
}

// problem says what is wrong with a field; rest is where in it, if it is a list.
func (p *Pages) problem(v visit, f registry.Field, rest string) string {
	said := p.maybe(v, "ra.problem."+f.Problem)
	if said == "" {
		if m, ok := p.Server.Explain(v.lang, f.Problem); ok {
			said = m.Heading
		} else {
			said = p.say(v, "ra.problem.form")
		}
	}
	if line, _, _ := strings.Cut(rest, "."); line != "" && strings.Trim(line, "0123456789") == "" {
		return p.say(v, "ra.problem.line", "line", oneMore(line), "problem", said)
	}
	return said
}

// checkPage shows what a change would do, and has the button that does it.
func (p *Pages) checkPage(v visit, a asked, preview registry.Preview, token string, problem error) error {
	s, err := p.subject(v, a)
	if err != nil {
		return err
	}
	page := web.RAForm{RA: p.page(v, "", "ra.change."+string(a.kind)), Action: a.address("/do"), Stops: a.stops, Cancel: s.page(a)}
	page.Title = p.title(v, a.kind)
	page.Button = page.Title
	if !a.short {
		page.Title = p.say(v, "ra.check.title", "change", page.Title)
	}
	page.Here, page.Facts = "", p.subjectFacts(v, s, a)
	page.Intro = p.maybe(v, "ra.text."+string(a.kind))
	page.Body = p.checkBody(v, a, s, preview)
	page.Hidden = []web.Detail{{Name: "token", Value: token}}
	for name, values := range a.sent(a.values) {
		if a.short && name == "reason" {
			continue
		}
		for _, value := range values {
			page.Hidden = append(page.Hidden, web.Detail{Name: name, Value: value})
		}
	}
	slices.SortFunc(page.Hidden, func(x, y web.Detail) int { return strings.Compare(x.Name, y.Name) })
	if a.short {
		page.Fields = append(page.Fields, p.field(v, a, why))
	} else {
		page.Edit = &web.Link{Href: a.address(""), Label: p.say(v, "ra.check.edit")}
	}
	if preview.Confirm {
		page.Fields = append(page.Fields, web.FormField{ID: "f-confirmed", Name: "confirmed", As: "tick", Label: p.say(v, "ra.field.confirmed")})
	}
	status := http.StatusOK
	if problem != nil {
		if status, err = p.problems(v, a, &page, problem); err != nil {
			return err
		}
		if errors.Is(problem, registry.ErrConfirm) {
			page.Problems = []web.FieldProblem{{ID: "f-confirmed", Text: p.say(v, "ra.problem.confirm")}}
			page.Fields[len(page.Fields)-1].Problem = p.say(v, "ra.problem.confirm")
		}
	}
	return p.Server.Render(v.w, status, "ra-form", page)
}

// checkBody is what is shown of a change before it is made: what is to be
// known, who must agree, what was entered and what will be different.
func (p *Pages) checkBody(v visit, a asked, s subject, preview registry.Preview) []web.Section {
	var body []web.Section
	if len(preview.Warnings) > 0 {
		sec := web.Section{ID: "warnings", Heading: p.say(v, "ra.check.warnings")}
		for _, w := range preview.Warnings {
			fact := web.Fact{Name: w.UID, Value: p.warning(v, w)}
			if w.UID == "" {
				fact.Name = p.say(v, "ra.check.note")
			} else {
				fact.Href = "/ra/people/" + w.UID
			}
			sec.Facts = append(sec.Facts, fact)
		}
		body = append(body, sec)
	}
	if len(preview.Second) > 0 {
		body = append(body, web.Section{ID: "second", Heading: p.say(v, "ra.check.second"), Intro: p.say(v, "ra.check.second.text", "who", p.authorities(v, preview.Second))})
	}
	if !a.short {
		entered := web.Section{ID: "entered", Heading: p.say(v, "ra.check.entered"), Facts: p.entered(v, a)}
		body = append(body, entered)
	}
	changes := web.Section{ID: "changes", Heading: p.say(v, "ra.check.changes"), None: p.say(v, "ra.check.nothing"), Table: p.differences(v, preview.Differences, s.records)}
	switch a.kind {
	case idp.SessionEnded, idp.SignedOutAll, registry.LockLifted, registry.AuthenticatorCode, registry.ApplicantInvited, registry.ApplicantRefused:
		changes.Table, changes.None = nil, p.say(v, "ra.effect."+string(a.kind)) // nothing in the registry is different
	case registry.NoticeSent:
		if changes.None = p.say(v, "ra.effect.notice_sent.none"); preview.Told != nil && *preview.Told > 0 {
			changes.None = p.Server.Site.Count(v.lang, "ra.effect.notice_sent", *preview.Told)
		}
	}
	return append(body, changes)
}

// entered are the values of a form as people read them.
func (p *Pages) entered(v visit, a asked) []web.Fact {
	var facts []web.Fact
	for _, fl := range a.visible() {
		values := a.values[fl.name]
		if len(values) == 0 || strings.TrimSpace(values[0]) == "" {
			continue
		}
		value := strings.Join(values, ", ")
		switch fl.as {
		case radios, choice, many:
			var words []string
			for _, o := range values {
				words = append(words, p.say(v, "ra.option."+fl.name+"."+o))
			}
			value = strings.Join(words, ", ")
		case date:
			value = p.day(v, idp.Date(value))
		case lines:
			value = strings.Join(list(value), ", ")
		case codes:
			value = strings.Join(strings.Split(strings.TrimSpace(value), "\n"), "; ")
		case tick:
			value = p.say(v, "ra.yes")
		case text, area, number, target:
			if fl.name == "role_name" {
				value = roleName(value, value)
			}
		}
		facts = append(facts, web.Fact{Name: p.label(v, a.kind, fl.name), Value: value})
	}
	return facts
}

// warning is what somebody should know.
func (p *Pages) warning(v visit, w registry.Warning) string {
	arg := strings.Join(w.Args, ", ")
	if len(w.Args) == 1 && len(arg) == len("2006-01-02") {
		arg = p.day(v, idp.Date(arg))
	}
	return p.say(v, "ra.warning."+w.Code, "what", arg)
}

// authorities are names of authorities, one of which is enough.
func (p *Pages) authorities(v visit, all []registry.Authority) string {
	var names []string
	for _, a := range all {
		names = append(names, p.say(v, "ra.authority."+string(a)))
	}
	return strings.Join(names, ", ")
}

// query is an address's query of pairs.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}
