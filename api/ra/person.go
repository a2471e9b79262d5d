package ra

import (
	"cmp"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// eventsShown is how many events a person's page has.
const eventsShown = 20

// about is all that a person's page shows.
type about struct {
	visit
	person   *registry.Person
	records  registry.Records
	held     []authenticators.Authenticator
	uses     map[string]time.Time
	sessions []idp.OwnSession
	events   []idp.Event
	names    map[string]string
	rights   *rights
}

// read reads all that a person's page shows.
func (p *Pages) read(v visit, uid string) (*about, error) {
	person, r, err := p.one(v, uid)
	if err != nil {
		return nil, err
	}
	a := &about{visit: v, person: person, records: r, rights: p.rights(v, r)}
	if a.held, err = p.Held.HeldBy(v.Context(), uid); err != nil {
		return nil, err
	}
	if a.uses, err = p.Service.Uses.LastUses(v.Context(), uid); err != nil {
		return nil, err
	}
	owner := idp.Owner{Person: person.IDP(nil)}
	owner.Person.SignedOutAt = person.SignedOutAt
	if a.sessions, err = p.Accounts.Open(v.Context(), owner); err != nil {
		return nil, err
	}
	if a.events, _, err = p.Service.Finder.EventsOf(v.Context(), uid, registry.Query{Most: eventsShown}); err != nil {
		return nil, err
	}
	var who []string
	for _, e := range a.events {
		who = append(who, e.Actor, e.Approver, e.Subject)
	}
	a.names, err = p.names(v.Context(), append(who, person.Robot.Owner, person.MergedInto)...)
	return a, err
}

// person is the one page of a person: who they are, what they do and where,
// what they sign in with, where they are signed in and what happened last.
func (p *Pages) person(v visit) error {
	a, err := p.read(v, chi.URLParam(v.Request, "uid"))
	if err != nil {
		return err
	}
	page := p.personPage(a)
	p.groups(a, &page)
	if more := a.rights.more("/ra/people/" + a.person.UID + "/why"); more != nil {
		page.Groups = append(page.Groups, web.Group{ID: "why", Heading: p.say(v, "ra.why.heading"), Acts: more})
	}
	return p.render(v, page)
}

func (p *Pages) personPage(a *about) web.RA {
	v := a.visit
	page := p.page(v, "", "ra.nav.find")
	page.Title, page.Caption = display(a.person.Person), a.person.UID
	page.Tags = []web.Tag{p.profileTag(v, a.person.Profile)}
	if a.person.Robot.Owner != "" {
		page.Tags = append(page.Tags, web.Tag{Text: p.say(v, "ra.robot"), Tone: "warn"})
	}
	page.Facts = p.personFacts(a)
	page.Body = append(page.Body, p.positions(a)...)
	page.Body = append(page.Body, p.authenticators(a), p.sessions(a), p.events(v, "ra.events.heading", a.events, a.names))
	return page
}

// profileTag says the state of a profile.
func (p *Pages) profileTag(v visit, profile idp.Profile) web.Tag {
	tone := map[idp.Profile]string{idp.Verified: "good", idp.Unverified: "warn", idp.Restricted: "stop", idp.Closed: "stop"}[profile]
	return web.Tag{Text: p.say(v, "ra.profile."+string(profile)), Tone: tone}
}

func (p *Pages) personFacts(a *about) []web.Fact {
	v, person := a.visit, a.person
	none := p.say(v, "ra.none")
	facts := []web.Fact{
		{Name: p.say(v, "ra.head.level"), Value: p.say(v, "ra.level."+string(rune('0'+min(max(person.IdentityAssurance, 0), 3))))},
		{Name: p.say(v, "ra.field.email"), Value: cmp.Or(person.Email, none)},
		{Name: p.say(v, "ra.field.mobile"), Value: cmp.Or(person.Mobile, none)},
	}
	n := person.Professional
	for _, number := range []struct{ key, value string }{{"gmc_id", n.GMC}, {"nmc_id", n.NMC}, {"gdc_id", n.GDC}, {"gphc_id", n.GPhC},
		{"gmp_id", n.GMP}, {"gdp_id", n.GDP}, {"rcn_id", n.RCN}, {"consultant_id", n.Consultant}} {
		if number.value != "" {
			facts = append(facts, web.Fact{Name: p.say(v, "ra.field.professional."+number.key), Value: number.value, Code: true})
		}
	}
	if owner := person.Robot.Owner; owner != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.field.owner"), Value: a.names[owner], Href: "/ra/people/" + owner},
			web.Fact{Name: p.say(v, "ra.field.until"), Value: p.day(v, person.Robot.Until)})
	}
	if into := person.MergedInto; into != "" {
		facts = append(facts, web.Fact{Name: p.say(v, "ra.key.merged_into"), Value: cmp.Or(a.names[into], into), Href: "/ra/people/" + into})
	}
	return facts
}

// positions are those of now and to come, and folded away those that have ended.
func (p *Pages) positions(a *about) []web.Section {
	v, today := a.visit, p.today()
	heads := []string{p.say(v, "ra.head.role"), p.say(v, "ra.head.organisation"), p.say(v, "ra.head.days")}
	open := web.Section{ID: "positions", Heading: p.say(v, "ra.positions.heading"), None: p.say(v, "ra.positions.none")}
	ended := web.Section{ID: "ended", Folded: true}
	now := &web.Table{Caption: open.Heading, Heads: heads, Acts: p.say(v, "ra.head.acts")}
	over := &web.Table{Heads: heads}
	for _, pos := range slices.SortedFunc(slices.Values(a.person.Positions), func(x, y directory.Position) int {
		return cmp.Or(cmp.Compare(x.Organisation, y.Organisation), cmp.Compare(x.From, y.From), cmp.Compare(x.ID, y.ID))
	}) {
		row := p.position(a, heads, pos, today)
		if pos.To != "" && pos.To < today {
			row.Off = true
			over.Rows = append(over.Rows, row)
			continue
		}
		of := roleName(pos.RoleName, pos.RoleCode) + ", " + organisationName(a.records, pos.Organisation)
		row.Acts = slices.Concat(a.rights.act(registry.PositionChanged, of, "position", pos.ID, "organisation", pos.Organisation),
			a.rights.act(registry.PositionEnded, of, "position", pos.ID))
		now.Rows = append(now.Rows, row)
	}
	if len(now.Rows) > 0 {
		open.Table = now
	}
	if len(over.Rows) == 0 {
		return []web.Section{open}
	}
	ended.Heading = p.Server.Site.Count(v.lang, "ra.ended", len(over.Rows))
	over.Caption, ended.Table = ended.Heading, over
	return []web.Section{open, ended}
}

func (p *Pages) position(a *about, heads []string, pos directory.Position, today idp.Date) web.Row {
	v := a.visit
	role := web.Cell{Text: roleName(pos.RoleName, pos.RoleCode), Lines: []string{pos.RoleCode}}
	for _, list := range []struct {
		key   string
		codes []directory.Coded
	}{{"activities", pos.Activities}, {"areas_of_work", pos.AreasOfWork}, {"workgroups", pos.Workgroups}} {
		var names []string
		for _, c := range list.codes {
			names = append(names, strings.TrimSpace(c.Code+" "+c.Name))
		}
		if len(names) > 0 {
			role.Lines = append(role.Lines, p.say(v, "ra.field."+list.key)+": "+strings.Join(names, ", "))
		}
	}
	days := web.Cell{Head: heads[2], Text: p.days(v, pos.From, pos.To)}
	if pos.From > today {
		days.Tags = append(days.Tags, web.Tag{Text: p.say(v, "ra.position.later")})
	}
	if pos.Reason != "" {
		days.Tags = append(days.Tags, web.Tag{Text: p.say(v, "ra.position.temporary"), Tone: "warn"})
		days.Lines = append(days.Lines, pos.Reason)
	}
	return web.Row{Cells: []web.Cell{role, {Head: heads[1], Text: organisationName(a.records, pos.Organisation), Href: "/ra/organisations/" + pos.Organisation, Lines: []string{pos.Organisation}}, days}}
}

// days are the first and the last day of something.
func (p *Pages) days(v visit, from, to idp.Date) string {
	switch {
	case from == "" && to == "":
		return p.say(v, "ra.days.always")
	case to == "":
		return p.say(v, "ra.days.from", "from", p.day(v, from))
	case from == "":
		return p.say(v, "ra.days.to", "to", p.day(v, to))
	}
	return p.say(v, "ra.days.both", "from", p.day(v, from), "to", p.day(v, to))
}

// authenticators are the cards and all else that a person signs in with.
func (p *Pages) authenticators(a *about) web.Section {
	v := a.visit
	sec := web.Section{ID: "authenticators", Heading: p.say(v, "ra.authenticators.heading"), None: p.say(v, "ra.authenticators.none")}
	heads := []string{p.say(v, "ra.head.authenticator"), p.say(v, "ra.head.state"), p.say(v, "ra.head.added"), p.say(v, "ra.head.used"), p.say(v, "ra.head.ends")}
	t := &web.Table{Caption: sec.Heading, Heads: heads, Acts: p.say(v, "ra.head.acts")}
	for _, c := range a.person.Cards {
		if c.Registered {
			t.Rows = append(t.Rows, p.card(a, heads, c))
		}
	}
	for _, h := range a.held {
		t.Rows = append(t.Rows, p.heldRow(a, heads, h))
	}
	if len(t.Rows) > 0 {
		sec.Table = t
	}
	return sec
}

// stateTag says the state of a card or an authenticator.
func (p *Pages) stateTag(v visit, state string) []web.Tag {
	tone := map[string]string{"active": "good", "suspended": "warn", "blocked": "warn"}[state]
	return []web.Tag{{Text: p.say(v, "ra.state."+state), Tone: cmp.Or(tone, "stop")}}
}

func (p *Pages) card(a *about, heads []string, c directory.Card) web.Row {
	v, serial, is := a.visit, c.Serial, a.person.Issued[c.Serial]
	state := string(c.State)
	row := web.Row{Off: state == "revoked", Cells: []web.Cell{
		{Text: p.say(v, "held.smartcard"), Lines: []string{serial, p.say(v, "ra.card.facts", "level", "3", "series", digits(c.Series))}},
		{Head: heads[1], Tags: p.stateTag(v, state)},
		{Head: heads[2], Text: cmp.Or(p.moment(v, is.AddedAt), "–")},
		{Head: heads[3], Text: cmp.Or(p.moment(v, a.uses["card:"+directory.CardSerial(serial)]), "–")},
		{Head: heads[4], Text: cmp.Or(p.day(v, c.EndsOn), "–")},
	}}
	if c.EndsOn != "" && c.EndsOn < p.today() {
		row.Cells[4].Tags = []web.Tag{{Text: p.say(v, "ra.state.expired"), Tone: "stop"}}
	}
	of := p.say(v, "cards.serial", "serial", serial)
	switch state {
	case "active":
		row.Acts = slices.Concat(a.rights.act(registry.CardSuspended, of, "serial", serial), a.rights.act(registry.CardReplaced, of, "old", serial), a.rights.act(registry.CardRevoked, of, "serial", serial))
	case "revoked":
	default:
		row.Acts = slices.Concat(a.rights.act(registry.CardResumed, of, "serial", serial), a.rights.act(registry.CardReplaced, of, "old", serial), a.rights.act(registry.CardRevoked, of, "serial", serial))
	}
	if state != "revoked" && is.Certificate != nil && p.Service.CardAuthority != nil {
		row.Acts = append(row.Acts, a.rights.act(registry.CertificateIssued, of, "uid", a.person.UID, "old", serial)...)
	}
	if is.Certificate != nil {
		row.Acts = append(row.Acts, web.Act{Href: "/ra/cards/" + url.PathEscape(serial) + ".pem", Label: p.say(v, "ra.card.certificate"), Of: of})
	}
	return row
}

// certificate is the certificate of a card as a file.
func (p *Pages) certificate(v visit) error {
	serial := directory.CardSerial(chi.URLParam(v.Request, "serial"))
	if serial == "" {
		return registry.ErrNoCard
	}
	r, err := p.Service.Keeper.Records(v.Context(), registry.Touch{Cards: []string{serial}})
	if err != nil {
		return err
	}
	for _, person := range r.People {
		for written, is := range person.Issued {
			if text := is.PEM(); text != "" && directory.CardSerial(written) == serial {
				v.w.Header().Set("Content-Type", "application/x-pem-file")
				v.w.Header().Set("Content-Disposition", `attachment; filename="`+serial+`.pem"`)
				_, _ = io.WriteString(v.w, text) // who hung up hears nothing
				return nil
			}
		}
	}
	return registry.ErrNoCard
}

func (p *Pages) heldRow(a *about, heads []string, h authenticators.Authenticator) web.Row {
	v, uid := a.visit, a.person.UID
	facts := p.say(v, "account.held.level", "level", digits(int(h.Level)))
	if h.Model != "" {
		facts = h.Model + ", " + facts
	}
	added := p.moment(v, h.AddedAt)
	by := "ra.added.ra"
	if h.SelfClaimed {
		by = "ra.added.self"
	}
	row := web.Row{Off: h.State != authenticators.Active, Cells: []web.Cell{
		{Text: p.say(v, "held."+string(h.Kind)), Lines: []string{h.Name, facts}},
		{Head: heads[1], Tags: p.stateTag(v, string(h.State))},
		{Head: heads[2], Text: cmp.Or(added, "–"), Lines: []string{p.say(v, by)}},
		{Head: heads[3], Text: cmp.Or(p.moment(v, h.UsedAt), "–")},
		{Head: heads[4], Text: "–"},
	}}
	if h.State == authenticators.Active {
		row.Acts = a.rights.act(idp.AuthenticatorSuspended, h.Name, "uid", uid, "id", h.ID)
	} else {
		row.Acts = a.rights.act(registry.AuthenticatorBack, h.Name, "uid", uid, "id", h.ID)
	}
	row.Acts = append(row.Acts, a.rights.act(idp.AuthenticatorRemoved, h.Name, "uid", uid, "id", h.ID)...)
	return row
}

// sessions are what a person is signed in to.
func (p *Pages) sessions(a *about) web.Section {
	v := a.visit
	sec := web.Section{ID: "sessions", Heading: p.say(v, "ra.sessions.heading"), None: p.say(v, "ra.sessions.none")}
	heads := []string{p.say(v, "ra.head.applications"), p.say(v, "ra.head.way"), p.say(v, "ra.head.since")}
	t := &web.Table{Caption: sec.Heading, Heads: heads, Acts: p.say(v, "ra.head.acts")}
	for _, s := range a.sessions {
		names := cmp.Or(p.clients(v, s.Clients), p.say(v, "account.sessions.nothing"))
		since := p.moment(v, s.AuthTime)
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: names}, {Head: heads[1], Text: string(s.Method)}, {Head: heads[2], Text: since}},
			Acts: a.rights.act(idp.SessionEnded, names+", "+since, "uid", a.person.UID, "sid", s.ID)})
	}
	if len(t.Rows) > 0 {
		sec.Table = t
	}
	return sec
}

// clients are what people call applications.
func (p *Pages) clients(v visit, ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, p.client(v, id))
	}
	return strings.Join(names, ", ")
}

func (p *Pages) client(v visit, id string) string {
	switch id {
	case "":
		return ""
	case idp.AccountClient:
		return p.say(v, "account.application")
	case idp.RegistrationClient:
		return p.say(v, "ra.application")
	}
	c, err := p.Server.Logins.Clients.Client(v.Context(), id)
	if err != nil || c.Name == "" {
		return id // it may be gone by now
	}
	return c.Name
}

// events is the table of what happened.
func (p *Pages) events(v visit, heading string, events []idp.Event, names map[string]string) web.Section {
	sec := web.Section{ID: "events", Heading: p.say(v, heading), None: p.say(v, "ra.events.none")}
	if len(events) == 0 {
		return sec
	}
	heads := []string{p.say(v, "ra.head.when"), p.say(v, "ra.head.what"), p.say(v, "ra.head.by"), p.say(v, "ra.head.reference")}
	sec.Table = &web.Table{Caption: sec.Heading, Heads: heads}
	for _, e := range events {
		what := web.Cell{Head: heads[1], Text: p.happened(v, e)}
		if said := p.because(v, e.Reason); said != "" {
			what.Lines = append(what.Lines, said)
		}
		if at := p.client(v, e.Client); at != "" {
			what.Lines = append(what.Lines, at)
		}
		by := web.Cell{Head: heads[2], Text: cmp.Or(names[e.Actor], e.Actor, names[e.Subject], "–")}
		if e.Approver != "" {
			by.Lines = append(by.Lines, p.say(v, "ra.approved", "name", cmp.Or(names[e.Approver], e.Approver)))
		}
		reference := web.Page{RequestID: e.Request}.Reference()
		ref := web.Cell{Head: heads[3], Text: "–"}
		if references.MatchString(reference) {
			ref.Text, ref.Href = reference, "/ra/references/"+reference
		}
		sec.Table.Rows = append(sec.Table.Rows, web.Row{Cells: []web.Cell{{Text: p.moment(v, e.At)}, what, by, ref}})
	}
	return sec
}

// happened is an event in words.
func (p *Pages) happened(v visit, e idp.Event) string {
	if said := p.maybe(v, "ra.event."+string(e.Kind)); said != "" {
		return said
	}
	return string(e.Kind)
}

// because is the reason of an event: of a refusal what its person was told.
func (p *Pages) because(v visit, reason string) string {
	if m, ok := p.Server.Explain(v.lang, reason); ok {
		return m.Code + ": " + m.Heading
	}
	return reason
}
