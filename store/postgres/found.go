package postgres

import (
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// finding is by what people find an event: what they read out, and whom it is
// about.
type finding struct{ reference, subject, actor string }

// findingOf returns by what e is found; nil if nobody looks for it. What every
// sign-in leaves is not found so, because that would cost every sign-in.
func findingOf(e idp.Event) *finding {
	if !e.Asked() {
		return nil
	}
	f := &finding{reference: idp.Reference(e.Request), subject: e.Subject, actor: e.Actor}
	if *f == (finding{}) {
		return nil
	}
	return f
}

// finds are where events are found, column by column.
type finds struct {
	seqs                         []int64
	ats                          []time.Time
	references, subjects, actors []string
}

func (f *finds) add(n *entry, seq int64) {
	f.seqs, f.ats = append(f.seqs, seq), append(f.ats, n.at)
	f.references, f.subjects, f.actors = append(f.references, n.find.reference), append(f.subjects, n.find.subject), append(f.actors, n.find.actor)
}
