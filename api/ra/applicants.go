package ra

import (
	"cmp"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// applicantsPath is the list of those who were invited to apply for a care
// identity.
const applicantsPath = "/ra/applicants"

// applicants lists those who were invited and are not decided on.
func (p *Pages) applicants(v visit) error {
	q, now := p.asksOf(v)
	all, next, err := p.Service.Finder.Applicants(v.Context(), q, now)
	if err != nil {
		return err
	}
	page := p.page(v, "/ra", "ra.applicants")
	page.Intro = p.say(v, "ra.applicants.text")
	page.Back = &web.Link{Href: "/ra", Label: p.say(v, "ra.lists.heading")}
	sec := web.Section{ID: "applicants", Heading: p.Server.Site.Count(v.lang, "ra.found", len(all)), None: p.say(v, "ra.applicants.none")}
	if next != "" {
		sec.Heading = p.say(v, "ra.found.more", "n", digits(len(all)))
		sec.Links = []web.Act{{Href: applicantsPath + "?" + query("after", next, "at", q.At), Label: p.say(v, "ra.next")}}
	}
	if sec.Table, err = p.applicantTable(v, page.Title, all); err != nil {
		return err
	}
	page.Body = []web.Section{sec}
	if acts := p.asking(v).act(registry.ApplicantInvited, ""); len(acts) > 0 {
		page.Groups = []web.Group{{ID: "acts-add", Heading: p.say(v, "ra.acts.add"), Acts: acts}}
	}
	return p.render(v, page)
}

// applicantTable is a table of applicants; nil if there are none.
func (p *Pages) applicantTable(v visit, caption string, all []registry.Applicant) (*web.Table, error) {
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // no table is what a page shows of nothing
	}
	var who []string
	for _, a := range all {
		who = append(who, a.By)
	}
	names, err := p.names(v.Context(), who...)
	if err != nil {
		return nil, err
	}
	heads := []string{p.say(v, "ra.head.person"), p.say(v, "ra.head.state"), p.say(v, "ra.head.organisation"), p.say(v, "ra.head.invited"), p.say(v, "ra.head.until")}
	t := &web.Table{Caption: caption, Heads: heads}
	for _, a := range all {
		row := web.Row{Cells: []web.Cell{{Text: cmp.Or(a.Said.Name.Display, a.Email), Href: applicantsPath + "/" + url.PathEscape(a.ID), Lines: []string{a.Email}},
			{Head: heads[1], Tags: []web.Tag{p.applicantTag(v, a)}}, {Head: heads[2], Text: a.At, Href: "/ra/organisations/" + url.PathEscape(a.At)},
			{Head: heads[3], Text: cmp.Or(names[a.By], "–"), Lines: []string{p.moment(v, a.InvitedAt)}}, {Head: heads[4], Text: p.moment(v, a.Until)}}}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func (p *Pages) applicantTag(v visit, a registry.Applicant) web.Tag {
	tone := map[registry.ApplicantState]string{registry.HasApplied: "warn", registry.IsAccepted: "good", registry.IsRefused: "stop"}[a.State]
	return web.Tag{Text: p.say(v, "ra.applicant."+string(a.State)), Tone: tone}
}

// applicant shows one of them, with what can be decided.
func (p *Pages) applicant(v visit) error {
	id := chi.URLParam(v.Request, "id")
	r, err := p.Service.Keeper.Records(v.Context(), registry.Touch{People: []string{v.actor.Person.UID}, Applicants: []string{id}})
	if err != nil {
		return err
	}
	a := r.Applicants[id]
	if a == nil {
		return registry.ErrNoApplicant
	}
	if err := p.addOrganisations(v, &r); err != nil {
		return err
	}
	names, err := p.names(v.Context(), a.By, a.DecidedBy)
	if err != nil {
		return err
	}
	page := p.page(v, "/ra", "ra.applicants")
	page.Title, page.Caption = cmp.Or(a.Said.Name.Display, a.Email, a.ID), p.say(v, "ra.applicant")
	page.Back = &web.Link{Href: applicantsPath, Label: p.say(v, "ra.applicants")}
	page.Tags = []web.Tag{p.applicantTag(v, *a)}
	page.Facts = p.applicantFacts(v, r, *a, names)
	rs := p.rights(v, r)
	var acts []web.Act
	if a.State == registry.HasApplied {
		acts = rs.act(registry.ApplicantAccepted, "", "applicant", a.ID)
	}
	if a.State == registry.HasApplied || a.State == registry.HasInvitation {
		acts = append(acts, rs.act(registry.ApplicantRefused, "", "applicant", a.ID)...)
	}
	if len(acts) > 0 {
		page.Groups = []web.Group{{ID: "acts-applicant", Heading: p.say(v, "ra.acts.person"), Acts: acts}}
	}
	return p.render(v, page)
}

// applicantFacts are what is known of an applicant. Their National Insurance
// number is shown to nobody.
func (p *Pages) applicantFacts(v visit, r registry.Records, a registry.Applicant, names map[string]string) []web.Fact {
	facts := []web.Fact{{Name: p.say(v, "ra.field.email"), Value: cmp.Or(a.Email, p.say(v, "ra.none"))}}
	if a.State == registry.HasApplied {
		facts = append(facts,
			web.Fact{Name: p.say(v, "ra.field.name.given"), Value: a.Said.Name.Given}, web.Fact{Name: p.say(v, "ra.field.name.family"), Value: a.Said.Name.Family},
			web.Fact{Name: p.say(v, "ra.field.born"), Value: p.day(v, a.Said.Born)}, web.Fact{Name: p.say(v, "ra.field.mobile"), Value: cmp.Or(a.Said.Mobile, p.say(v, "ra.none"))})
	}
	facts = append(facts, web.Fact{Name: p.say(v, "ra.head.organisation"), Value: organisationName(r, a.At) + ", " + a.At, Href: "/ra/organisations/" + url.PathEscape(a.At)},
		web.Fact{Name: p.say(v, "ra.head.invited"), Value: cmp.Or(names[a.By], a.By, "–") + ", " + p.moment(v, a.InvitedAt)})
	if !a.AppliedAt.IsZero() {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.applicant.applied"), Value: p.moment(v, a.AppliedAt)})
	}
	switch {
	case idp.IsUID(a.UID):
		facts = append(facts, web.Fact{Name: p.say(v, "ra.head.uid"), Value: a.UID, Href: "/ra/people/" + a.UID, Code: true})
	case a.DecidedBy == "":
		facts = append(facts, web.Fact{Name: p.say(v, "ra.head.until"), Value: p.moment(v, a.Until)})
	}
	if a.DecidedBy != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.head.by"), Value: cmp.Or(names[a.DecidedBy], a.DecidedBy) + ", " + p.moment(v, a.DecidedAt)})
	}
	return facts
}
