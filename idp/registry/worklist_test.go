package registry

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// lockedOut are blocked cards in the registry, and what is counted elsewhere.
type lockedOut struct {
	Finder
	cards  []Found // in order
	locks  []idp.LimitKey
	outage error
	asked  *int // who somebody is
}

// Worklist pages as stores do.
func (l lockedOut) Worklist(_ context.Context, _ List, q Query, _ time.Time) ([]Found, string, error) {
	all := slices.Clone(l.cards)
	if after, goesOn := q.Place(); goesOn {
		all = slices.DeleteFunc(all, func(f Found) bool { return !after.Less(f.locked()) })
	}
	if len(all) <= q.Size() {
		return all, "", nil
	}
	return all[:q.Size()], all[q.Size()-1].locked().Cursor(), nil
}

// FindUIDs knows everybody but 6, who works elsewhere, and 7, who is closed.
func (l lockedOut) FindUIDs(_ context.Context, uids []string, _ string, most int) ([]Found, error) {
	*l.asked++
	var found []Found
	for _, uid := range uids {
		if uid != "6" && uid != "7" && len(found) < most {
			found = append(found, Found{UID: uid, Profile: idp.Verified})
		}
	}
	return found, nil
}

func (l lockedOut) Locked(context.Context, time.Time) ([]idp.LimitKey, error) {
	return l.locks, l.outage
}

func TestLockedOut(t *testing.T) {
	out := lockedOut{asked: new(int)}
	for _, uid := range []string{"1", "3", "5"} {
		out.cards = append(out.cards, Found{UID: uid, Why: "0A"}, Found{UID: uid, Why: "0B"})
	}
	for _, uid := range []string{"8", "7", "6", "3", "2", "0"} {
		out.locks = append(out.locks, idp.LimitKey{Account: uid, Authenticator: "totp"})
	}
	out.locks = append(out.locks, idp.LimitKey{Account: "2", Authenticator: "mail"})
	s := &Service{Finder: out, Locks: out, Now: func() time.Time { return noon }}
	want := []string{"0 totp", "1 0A", "1 0B", "2 mail", "2 totp", "3 0A", "3 0B", "3 totp", "5 0A", "5 0B", "8 totp"}
	for _, most := range []int{1, 2, 3, 4, 50} {
		t.Run("own rule: whoever is locked out by wrong tries is listed with those whose cards are blocked, page by page", func(t *testing.T) {
			var got []string
			q := Query{Most: most, At: "here"}
			for range 20 {
				people, next, err := s.Worklist(t.Context(), Locked, q, noon)
				if err != nil || len(people) > most {
					t.Fatalf("%v, %v", people, err)
				}
				for _, f := range people {
					got = append(got, f.UID+" "+f.Why)
				}
				if q.After = next; next == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("in pages of %d:\n%q, want\n%q", most, got, want)
			}
		})
	}
	t.Run("own rule: who all of them are is asked at once, and of nobody who is on none", func(t *testing.T) {
		*out.asked = 0
		if _, _, err := s.Worklist(t.Context(), Locked, Query{}, noon); err != nil || *out.asked != 1 {
			t.Errorf("asked %d times: %v", *out.asked, err)
		}
		s := *s
		s.Locks = lockedOut{}
		if _, _, err := s.Worklist(t.Context(), Locked, Query{}, noon); err != nil || *out.asked != 1 {
			t.Errorf("nobody is locked out, and asked is %d times: %v", *out.asked-1, err)
		}
	})
	t.Run("own rule: other lists ask nobody who is locked out, and an outage is told", func(t *testing.T) {
		out.outage = idp.ErrUnavailable
		s.Locks = out
		if people, _, err := s.Worklist(t.Context(), Suspension, Query{}, noon); err != nil || len(people) != len(out.cards) {
			t.Errorf("%v, %v", people, err)
		}
		if _, _, err := s.Worklist(t.Context(), Locked, Query{}, noon); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("without an answer: %v", err)
		}
	})
}
