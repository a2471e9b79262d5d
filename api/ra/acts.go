package ra

import (
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// groups are what can be done with a person, beside what can be done with one
// thing that they hold.
func (p *Pages) groups(a *about, page *web.RA) {
	uid, rs := a.person.UID, a.rights
	act := func(kind registry.Kind) []web.Act { return rs.act(kind, "", "uid", uid) }
	add := func(id string, acts ...[]web.Act) {
		if all := slices.Concat(acts...); len(all) > 0 {
			page.Groups = append(page.Groups, web.Group{ID: "acts-" + id, Heading: p.say(a.visit, "ra.acts."+id), Acts: all})
		}
	}
	if a.person.Profile == idp.Closed {
		if a.person.MergedInto == "" {
			add("person", act(registry.PersonReopened))
		}
		return
	}
	leaves := []web.Act(nil)
	if len(a.person.Positions) > 0 {
		leaves = p.leaves(a)
	}
	add("work", rs.act(registry.PositionAssigned, "", "uids", uid), act(registry.TemporaryGranted), leaves)
	robot := a.person.Robot.Owner != ""
	var cards, codes []web.Act
	if !robot {
		var certified []web.Act
		if p.Service.CardAuthority != nil {
			certified = act(registry.CertificateIssued)
		}
		cards = slices.Concat(certified, act(registry.CertificateRecorded), act(registry.CardIssued), act(registry.AuthenticatorCode))
	}
	if slices.ContainsFunc(a.held, func(h authenticators.Authenticator) bool { return h.Kind == authenticators.CodeKind }) {
		codes = rs.act(registry.LockLifted, "", "uid", uid, "authenticator", string(authenticators.CodeKind))
	}
	var ends []web.Act
	if len(a.sessions) > 0 {
		ends = act(idp.SignedOutAll)
	}
	add("authenticators", cards, codes, ends)
	if robot {
		add("person", act(registry.RobotChanged), act(registry.PersonClosed))
		return
	}
	var restrict []web.Act
	if a.person.Profile != idp.Restricted {
		restrict = act(registry.PersonRestricted)
	}
	add("person", act(registry.PersonChanged), act(registry.PersonVerified), rs.act(registry.PeopleMerged, "", "duplicate", uid), restrict, act(registry.PersonClosed))
}

// leaves is the act by which somebody leaves an organisation: where they work
// at one it is known which.
func (p *Pages) leaves(a *about) []web.Act {
	var at []string
	today := p.today()
	for _, pos := range a.person.Positions {
		if (pos.To == "" || pos.To >= today) && !slices.Contains(at, pos.Organisation) {
			at = append(at, pos.Organisation)
		}
	}
	switch len(at) {
	case 0:
		return nil
	case 1:
		return a.rights.act(registry.PersonLeft, "", "uid", a.person.UID, "organisation", at[0])
	}
	return a.rights.act(registry.PersonLeft, "", "uid", a.person.UID)
}

// personWhy lists what the actor may not do with a person, and why.
func (p *Pages) personWhy(v visit) error {
	a, err := p.read(v, chi.URLParam(v.Request, "uid"))
	if err != nil {
		return err
	}
	shown := p.personPage(a) // to ask for all that it would offer
	p.groups(a, &shown)
	page := p.page(v, "", "ra.why.title")
	page.Caption, page.Back = display(a.person.Person), &web.Link{Href: "/ra/people/" + a.person.UID, Label: p.say(v, "ra.back.person")}
	page.Body = []web.Section{p.absent(v, a.rights.absent)}
	return p.render(v, page)
}

// absent is the table of what is not offered.
func (p *Pages) absent(v visit, all []offer) web.Section {
	sec := web.Section{ID: "absent", Heading: p.say(v, "ra.why.absent"), None: p.say(v, "ra.why.all")}
	if len(all) == 0 {
		return sec
	}
	heads := []string{p.say(v, "ra.head.what"), p.say(v, "ra.head.why")}
	sec.Table = &web.Table{Caption: sec.Heading, Heads: heads}
	seen := map[registry.Kind]bool{}
	for _, o := range all {
		if seen[o.kind] {
			continue
		}
		seen[o.kind] = true
		_, m := p.words(v, o.why)
		sec.Table.Rows = append(sec.Table.Rows, web.Row{Cells: []web.Cell{
			{Text: p.say(v, "ra.change."+string(o.kind)), Href: "/ra/why/" + string(o.kind) + "?" + o.target.Encode()},
			{Head: heads[1], Text: m.Heading, Lines: []string{m.Text + " " + m.Action}}}})
	}
	return sec
}

func digits(n int) string { return strconv.Itoa(n) }
