package ra

import (
	"cmp"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// policy shows the rules on cards and on the programs that show them, and whom
// they stop on a day.
func (p *Pages) policy(v visit) error {
	r, err := p.Service.Keeper.Records(v.Context(), registry.Touch{People: []string{v.actor.Person.UID}, Policy: true})
	if err != nil {
		return err
	}
	var rules directory.Policy
	if r.Policy != nil {
		rules = *r.Policy
	}
	page := p.page(v, "/ra/policy", "ra.nav.policy")
	rs := p.rights(v, r)
	page.Body = append(page.Body, p.series(v, rs, rules), p.agents(v, rs, rules))
	stopped, err := p.stopped(v)
	if err != nil {
		return err
	}
	page.Body = append(page.Body, stopped)
	return p.render(v, page)
}

func (p *Pages) series(v visit, rs *rights, rules directory.Policy) web.Section {
	sec := web.Section{ID: "series", Heading: p.say(v, "ra.policy.series"), None: p.say(v, "ra.none"), Links: rs.act(registry.SeriesRuleSet, "")}
	heads := []string{p.say(v, "ra.field.series"), p.say(v, "ra.field.blocked_from"), p.say(v, "ra.field.legacy_gateway")}
	t := &web.Table{Caption: sec.Heading, Heads: heads, Acts: p.say(v, "ra.head.acts")}
	for _, s := range rules.CardSeries {
		legacy := "ra.no"
		if s.LegacyGateway {
			legacy = "ra.yes"
		}
		row := web.Row{Cells: []web.Cell{{Text: digits(s.Series)}, {Head: heads[1], Text: cmp.Or(p.day(v, s.BlockedFrom), "–"), Tags: p.blockedTag(v, s.BlockedFrom)}, {Head: heads[2], Text: p.say(v, legacy)}}}
		row.Acts = p.ruleActs(v, rs, registry.SeriesRuleSet, digits(s.Series), "series", digits(s.Series), "blocked_from", string(s.BlockedFrom))
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) > 0 {
		sec.Table = t
	}
	return sec
}

func (p *Pages) agents(v visit, rs *rights, rules directory.Policy) web.Section {
	sec := web.Section{ID: "agents", Heading: p.say(v, "ra.policy.agents"), None: p.say(v, "ra.none"), Links: rs.act(registry.AgentRuleSet, "")}
	heads := []string{p.say(v, "ra.field.product"), p.say(v, "ra.field.below"), p.say(v, "ra.field.except"), p.say(v, "ra.field.blocked_from")}
	t := &web.Table{Caption: sec.Heading, Heads: heads, Acts: p.say(v, "ra.head.acts")}
	for _, a := range rules.Agents {
		row := web.Row{Cells: []web.Cell{{Text: a.Product}, {Head: heads[1], Text: cmp.Or(a.Below, "–")}, {Head: heads[2], Text: cmp.Or(a.Except, "–")},
			{Head: heads[3], Text: cmp.Or(p.day(v, a.BlockedFrom), "–"), Tags: p.blockedTag(v, a.BlockedFrom)}}}
		row.Acts = p.ruleActs(v, rs, registry.AgentRuleSet, a.Product, "product", a.Product, "below", a.Below, "except", a.Except, "blocked_from", string(a.BlockedFrom))
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) > 0 {
		sec.Table = t
	}
	return sec
}

// ruleActs are the acts on one rule: to set it anew, and to take it away.
func (p *Pages) ruleActs(v visit, rs *rights, kind registry.Kind, of string, pairs ...string) []web.Act {
	acts := rs.act(kind, of, pairs...)
	if len(acts) == 0 {
		return nil
	}
	acts[0].Label = p.say(v, "ra.policy.change")
	return append(acts, web.Act{Href: acts[0].Href + "&remove=true", Label: p.say(v, "ra.policy.remove"), Of: of, Stops: true})
}

func (p *Pages) blockedTag(v visit, from idp.Date) []web.Tag {
	switch {
	case from == "":
		return nil
	case from <= p.today():
		return []web.Tag{{Text: p.say(v, "ra.policy.blocked"), Tone: "stop"}}
	}
	return []web.Tag{{Text: p.say(v, "ra.policy.later"), Tone: "warn"}}
}

// stopped says who will be stopped on a day.
func (p *Pages) stopped(v visit) (web.Section, error) {
	q, now := p.asksOf(v)
	day := idp.DateOf(now)
	sec := web.Section{ID: "stopped", Heading: p.say(v, "ra.policy.stopped"), None: p.say(v, "ra.policy.nobody", "day", p.day(v, day))}
	sec.Search = &web.Search{Action: "/ra/policy", Name: "day", Label: p.say(v, "ra.policy.day"), Value: string(day), Button: p.say(v, "ra.policy.show"), Type: "date"}
	people, next, err := p.Service.Worklist(v.Context(), registry.RuleStops, q, now)
	if err != nil {
		return sec, err
	}
	if sec.Table = p.people(v, sec.Heading, people, p.say(v, "ra.head.why")); sec.Table != nil {
		sec.Links = []web.Act{{Href: "/ra/lists/stopped.csv?" + query("day", string(day)), Label: p.say(v, "ra.list.file")}}
	}
	if next != "" {
		sec.Links = append(sec.Links, web.Act{Href: "/ra/policy?" + query("day", string(day), "after", next), Label: p.say(v, "ra.next")})
	}
	return sec, nil
}
