package ra

import (
	"context"
	"errors"
	"net/url"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// rights says what somebody may do to what a page shows: by the registry's own
// table, on records that were read once.
type rights struct {
	p       *Pages
	v       visit
	service registry.Service
	absent  []offer // what they may not
}

// offer is an act that a page may offer.
type offer struct {
	kind   registry.Kind
	target url.Values
	why    idp.Refusal
}

func (p *Pages) rights(v visit, r registry.Records) *rights {
	s := *p.Service
	s.Keeper = readAlready{r}
	return &rights{p: p, v: v, service: s}
}

// asking asks the registry itself.
func (p *Pages) asking(v visit) *rights { return &rights{p: p, v: v, service: *p.Service} }

// readAlready is a keeper of what was read before.
type readAlready struct{ records registry.Records }

// Records implements registry.Keeper.
func (k readAlready) Records(context.Context, registry.Touch) (registry.Records, error) {
	return k.records, nil
}

// Change implements registry.Keeper: it changes nothing.
func (readAlready) Change(context.Context, registry.Touch, func(*registry.Records) (idp.Act, error)) error {
	return registry.ErrNoAuthority
}

// act is a link to an act, if the actor may do it.
func (rs *rights) act(kind registry.Kind, of string, pairs ...string) []web.Act {
	f, ok := formOf(kind)
	if !ok {
		return nil
	}
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	if why := rs.may(f, v); why != "" {
		rs.absent = append(rs.absent, offer{kind, v, why})
		return nil
	}
	return []web.Act{{Href: "/ra/change/" + string(kind) + "?" + v.Encode(), Label: rs.p.say(rs.v, "ra.change."+string(kind)), Of: of, Stops: f.stops}}
}

// may says why the actor may not do something, or "". That they would have to
// sign in again first is no reason not to offer it.
func (rs *rights) may(f form, values url.Values) idp.Refusal {
	trials := f.trials(values, rs.v.held)
	if len(trials) == 0 {
		return ""
	}
	var why idp.Refusal
	for _, ch := range trials {
		e, err := rs.service.Why(rs.v.Context(), rs.v.actor, ch)
		if err != nil || e.Allowed || errors.Is(e.Why, idp.ErrStale) {
			return "" // what cannot be said beforehand is said when it is asked for
		}
		why = e.Why
	}
	return why
}

// more is the link to why something is not offered.
func (rs *rights) more(address string) []web.Act {
	if len(rs.absent) == 0 {
		return nil
	}
	return []web.Act{{Href: address, Label: rs.p.say(rs.v, "ra.why.link")}}
}
