package registry

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// SetSeriesRule says what is known of a series of cards, or forgets it.
type SetSeriesRule struct {
	Series        int      `json:"series"`
	BlockedFrom   idp.Date `json:"blocked_from,omitempty"`
	LegacyGateway bool     `json:"legacy_gateway"`
	Remove        bool     `json:"remove,omitempty"`
	Reason        string   `json:"reason,omitempty"`
}

// Kind implements Change.
func (SetSeriesRule) Kind() Kind { return SeriesRuleSet }

func (ch SetSeriesRule) words() string { return ch.Reason }

func (ch SetSeriesRule) check() error {
	var f checks
	if ch.Series < 1 || ch.Series > 99 {
		f.add("series", Range)
	}
	f.day("blocked_from", ch.BlockedFrom, false)
	f.reason(ch.Reason, false)
	return f.err()
}

func (SetSeriesRule) touches() Touch       { return Touch{Policy: true} }
func (SetSeriesRule) about(*Records) About { return About{} }

func (ch SetSeriesRule) make(r *Records, c *Case) error {
	set := slices.DeleteFunc(r.Policy.CardSeries, func(s directory.SeriesRule) bool { return s.Series == ch.Series })
	if !ch.Remove {
		set = append(set, directory.SeriesRule{Series: ch.Series, BlockedFrom: ch.BlockedFrom, LegacyGateway: ch.LegacyGateway})
		slices.SortFunc(set, func(a, b directory.SeriesRule) int { return cmp.Compare(a.Series, b.Series) })
	}
	r.Policy.CardSeries = set
	c.Done.ID = strconv.Itoa(ch.Series)
	c.journal(r, idp.Event{Reason: join(ch.Reason, "series "+c.Done.ID, from(ch.BlockedFrom, ch.Remove))})
	return nil
}

// from says in the journal from which day a rule blocks.
func from(day idp.Date, removed bool) string {
	switch {
	case removed:
		return "removed"
	case day == "":
		return "not blocked"
	}
	return "blocked from " + string(day)
}

// SetAgentRule blocks versions of a program that shows cards, or lets them be
// used again. There is one rule of a product with the same Except and Below.
type SetAgentRule struct {
	Product     string   `json:"product"`
	Except      string   `json:"except,omitempty"`
	Below       string   `json:"below,omitempty"`
	BlockedFrom idp.Date `json:"blocked_from,omitempty"`
	Remove      bool     `json:"remove,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// Kind implements Change.
func (SetAgentRule) Kind() Kind { return AgentRuleSet }

func (ch SetAgentRule) words() string { return ch.Reason }

func (ch SetAgentRule) check() error {
	var f checks
	f.like("product", ch.Product, product, true)
	f.like("except", ch.Except, version, false)
	f.like("below", ch.Below, version, false)
	if ch.Except == "" && ch.Below == "" {
		f.add("below", Missing) // a rule that blocks every version is a mistake more likely than a wish
	}
	f.day("blocked_from", ch.BlockedFrom, false)
	f.reason(ch.Reason, false)
	return f.err()
}

func (SetAgentRule) touches() Touch       { return Touch{Policy: true} }
func (SetAgentRule) about(*Records) About { return About{} }

func (ch SetAgentRule) make(r *Records, c *Case) error {
	set := slices.DeleteFunc(r.Policy.Agents, func(a directory.AgentRule) bool {
		return a.Product == ch.Product && a.Except == ch.Except && a.Below == ch.Below
	})
	if !ch.Remove {
		if len(set) >= maxRules {
			return ErrMany
		}
		set = append(set, directory.AgentRule{Product: ch.Product, Except: ch.Except, Below: ch.Below, BlockedFrom: ch.BlockedFrom})
		slices.SortFunc(set, func(a, b directory.AgentRule) int {
			return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Except, b.Except), cmp.Compare(a.Below, b.Below))
		})
	}
	r.Policy.Agents = set
	c.Done.ID = ch.Product
	c.journal(r, idp.Event{Reason: join(ch.Reason, ch.Product, from(ch.BlockedFrom, ch.Remove))})
	return nil
}
