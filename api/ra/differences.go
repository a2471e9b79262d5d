package ra

import (
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// mostDifferences is how many a page shows.
const mostDifferences = 500

// differences is the table of what a change makes different: nil for nothing.
func (p *Pages) differences(v visit, all []directory.Difference, r registry.Records) *web.Table {
	if len(all) == 0 {
		return nil
	}
	t := &web.Table{Caption: p.say(v, "ra.check.changes"), Heads: []string{p.say(v, "ra.head.what"), p.say(v, "ra.head.was"), p.say(v, "ra.head.is")}}
	for _, d := range all[:min(len(all), mostDifferences)] {
		row := web.Row{Cells: []web.Cell{{Text: p.about(v, d, r)}, {Head: t.Heads[1], Text: p.value(v, d.Key, d.Was)}, {Head: t.Heads[2], Text: p.value(v, d.Key, d.Is)}}}
		switch d.Op {
		case directory.Add:
			row.Cells[2].Text = ""
			row.Cells[2].Tags = []web.Tag{{Text: p.say(v, "ra.op.add"), Tone: "good"}}
		case directory.Remove:
			row.Cells[2].Text = ""
			row.Cells[2].Tags = []web.Tag{{Text: p.say(v, "ra.op.remove"), Tone: "stop"}}
		case directory.Change:
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// about says of what a difference is.
func (p *Pages) about(v visit, d directory.Difference, r registry.Records) string {
	parts := []string{p.say(v, "ra.thing."+d.Kind)}
	switch {
	case d.Kind == directory.PersonKind && r.People[d.ID] != nil:
		parts = append(parts, display(r.People[d.ID].Person))
	case d.Kind == directory.PositionKind:
		parts = append(parts, positionWords(r, d)...)
	case d.Kind == directory.OrganisationKind:
		parts = append(parts, organisationName(r, d.ID))
	case d.Op != directory.Add && d.Kind != directory.PolicyKind:
		parts = append(parts, d.ID)
	}
	said := strings.Join(parts, ", ")
	if d.Key != "" {
		key := p.maybe(v, "ra.key."+d.Key)
		if key == "" {
			if key = p.maybe(v, "ra.field."+d.Key); key == "" {
				key = d.Key
			}
		}
		said += ": " + key
	}
	return said
}

// positionWords say which position a difference is of, and whose.
func positionWords(r registry.Records, d directory.Difference) []string {
	person := r.People[d.Person]
	if person == nil {
		return nil
	}
	for _, pos := range person.Positions {
		if pos.ID == d.ID {
			return []string{roleName(pos.RoleName, pos.RoleCode) + ", " + organisationName(r, pos.Organisation) + ", " + display(person.Person)}
		}
	}
	return []string{display(person.Person)}
}

// value is a value of a difference as people read it.
func (p *Pages) value(v visit, key, value string) string {
	if value == "" {
		return "–"
	}
	switch key {
	case "profile":
		return p.say(v, "ra.profile."+value)
	case "state":
		return p.say(v, "ra.state."+value)
	}
	if _, err := idp.Date(value).Begins(); err == nil {
		return p.day(v, idp.Date(value))
	}
	return value
}

// oneMore counts from one what was counted from zero.
func oneMore(n string) string {
	i, err := strconv.Atoi(n)
	if err != nil {
		return n
	}
	return strconv.Itoa(i + 1)
}
