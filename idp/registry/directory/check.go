package directory

import (
	"math/big"
	"strings"

	"github.com/lanyard-id/lanyard/authenticators"
)

// lines says where the keys of one mapping are.
type lines struct {
	start int
	keys  map[string]int
}

// of returns the line of key, and the first of the mapping if it is not there.
func (l lines) of(key string) int {
	if line, ok := l.keys[key]; ok {
		return line
	}
	return l.start
}

// name is an identifier of some kind of thing.
type name struct{ kind, id string }

// ref is where a thing is named that must be in the document.
type ref struct {
	name
	key  string
	line int
}

// once refuses an identifier that another thing of its kind has. Empty ones
// are missing, which has been said.
func (r *reader) once(kind, key, id string, line int) {
	if id == "" {
		return
	}
	if first, taken := r.seen[name{kind, id}]; taken {
		r.problems.add(line, "%q: %s is taken by the %s on line %d", key, shown(id), kind, first)
		return
	}
	r.seen[name{kind, id}] = line
}

// needs asks for a thing of some kind, which may stand further down.
func (r *reader) needs(kind, key, id string, at lines) {
	if id != "" {
		r.refs = append(r.refs, ref{name{kind, id}, key, at.of(key)})
	}
}

// settle checks what can be known at the end only.
func (r *reader) settle() {
	for _, ref := range r.refs {
		if _, ok := r.seen[ref.name]; !ok {
			r.problems.add(ref.line, "%q: there is no %s %s in the document", ref.key, ref.kind, shown(ref.id))
		}
	}
}

func (o *Organisation) check(r *reader, at lines) {
	r.once("organisation", "code", o.Code, at.of("code"))
	r.needs("organisation", "parent", o.Parent, at)
	r.needs("organisation", "successor", o.Successor, at)
}

func (p *Person) check(r *reader, at lines) {
	r.once("person", "uid", p.UID, at.of("uid"))
	r.needs("person", "merged_into", p.MergedInto, at)
	if p.MergedInto != "" && p.MergedInto == p.UID {
		r.problems.add(at.of("merged_into"), "%q: nobody is their own duplicate", "merged_into")
	}
	if p.Robot.Owner != "" && p.Robot.Owner == p.UID {
		r.problems.add(at.of("robot"), "%q: a robot has somebody else as its owner", "robot")
	}
}

func (b *Robot) check(r *reader, at lines) {
	r.needs("person", "owner", b.Owner, at)
	if b.Owner == "" && b.Until != "" {
		r.problems.add(at.of("until"), "%q: a robot has an owner, who answers for it", "until")
	}
}

func (a *Authenticator) check(r *reader, at lines) {
	r.once("authenticator", "id", a.ID, at.of("id"))
	if a.Kind != "" {
		r.once(string(a.Kind), "handle", a.Handle, at.of("handle"))
	}
	if a.SelfClaimed && a.Level > int(authenticators.AAL2) {
		r.problems.add(at.of("level"), "%q: a self-claimed authenticator is never worth more than level %d", "level", authenticators.AAL2)
	}
}

func (p *Position) check(r *reader, at lines) {
	r.once("position", "id", p.ID, at.of("id"))
	r.needs("organisation", "organisation", p.Organisation, at)
	if p.From != "" && p.To != "" && p.To < p.From {
		r.problems.add(at.of("to"), "%q: the position ends before it begins", "to")
	}
}

func (m *Membership) check(r *reader, at lines) {
	r.needs("organisation", "organisation", m.Organisation, at)
}

func (c *Card) check(r *reader, at lines) {
	r.once("card", "serial", CardSerial(c.Serial), at.of("serial"))
}

func (c *Client) check(r *reader, at lines) {
	r.once("client", "id", c.ID, at.of("id"))
}

// CardSerial returns the serial number of a card's certificate as the
// certificate has it: the same number in upper-case hex with an even number of
// digits. It is "" if serial is not such a number: RFC 5280 §4.1.2.2 wants it
// positive and of no more than 20 octets.
func CardSerial(serial string) string {
	const digits = "0123456789abcdefABCDEF"
	n, ok := new(big.Int).SetString(serial, 16)
	if !ok || strings.Trim(serial, digits) != "" || n.Sign() <= 0 || n.BitLen() > 159 {
		return ""
	}
	hex := strings.ToUpper(n.Text(16))
	if len(hex)%2 == 1 {
		hex = "0" + hex
	}
	return hex
}
