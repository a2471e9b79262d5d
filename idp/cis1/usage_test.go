package cis1_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
)

// kept is where uses are kept, unless it fails.
type kept struct {
	all  []cis1.Counted
	from idp.Date
	err  error
}

func (k *kept) AddUses(_ context.Context, add []cis1.Counted, from idp.Date) error {
	if k.err != nil {
		return k.err
	}
	k.all, k.from = append(k.all, add...), from
	return nil
}

func (k *kept) UsesSince(context.Context, idp.Date) ([]cis1.Counted, error) { return k.all, nil }

func TestUsage(t *testing.T) {
	now := time.Date(2030, 6, 30, 23, 30, 0, 0, time.UTC) // half past midnight in London
	use := cis1.Use{Part: cis1.Gateway, Call: cis1.SignIn, Application: "agent", Person: nurse}
	t.Run("own rule: uses are counted by the day in London, kept once, and what is too old is forgotten", func(t *testing.T) {
		u, to := cis1.NewUsage(func() time.Time { return now }), &kept{}
		u.Count(use)
		u.Count(use)
		for range 2 {
			if err := u.Keep(t.Context(), to); err != nil {
				t.Fatal(err)
			}
		}
		want := use
		want.Day = "2030-07-01"
		if !slices.Equal(to.all, []cis1.Counted{{Use: want, Calls: 2}}) || to.from != "2030-05-22" {
			t.Errorf("%+v from %s", to.all, to.from)
		}
	})
	t.Run("own rule: what could not be kept is kept later", func(t *testing.T) {
		u, to := cis1.NewUsage(func() time.Time { return now }), &kept{err: errors.New("down")}
		u.Count(use)
		if err := u.Keep(t.Context(), to); err == nil {
			t.Fatal("nobody is told")
		}
		u.Count(use)
		if to.err = nil; u.Keep(t.Context(), to) != nil || len(to.all) != 1 || to.all[0].Calls != 2 {
			t.Errorf("%+v", to.all)
		}
	})
	t.Run("own rule: however many names there are, what is remembered has a bound", func(t *testing.T) {
		u, to := cis1.NewUsage(func() time.Time { return now }), &kept{}
		const names = 50_100
		for i := range names {
			use.Application = strconv.Itoa(i)
			u.Count(use)
		}
		if err := u.Keep(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		var calls int64
		for _, c := range to.all {
			calls += c.Calls
		}
		if len(to.all) != 50_001 || calls != names {
			t.Errorf("%d uses of %d calls", len(to.all), calls)
		}
	})
	t.Run("own rule: where nobody counts, nothing happens", func(*testing.T) {
		var u *cis1.Usage
		u.Count(use)
	})
}

func TestReport(t *testing.T) {
	signIn := func(day idp.Date, version, person string, calls int64) cis1.Counted {
		return cis1.Counted{Use: cis1.Use{Day: day, Part: cis1.Gateway, Call: cis1.SignIn, Application: "agent", Version: version, Organisation: "A9A5A", Person: person}, Calls: calls}
	}
	r := cis1.ReportOf("2030-06-01", []cis1.Counted{
		signIn("2030-06-01", "2.4.10.0", "a", 2), signIn("2030-06-03", "2.4.10.0", "b", 1), signIn("2030-06-02", "2.4.10.0", "a", 1),
		signIn("2030-06-02", "1.0", "c", 1), signIn("2030-06-02", "1.0", "a", 1),
		{Use: cis1.Use{Day: "2030-06-02", Part: cis1.Exchange, Call: "token", Application: "ward"}, Calls: 5},
		{Use: cis1.Use{Day: "2030-06-04", Part: cis1.DeskAuth, Call: cis1.SignIn, Application: "lanyard-agent", Version: "0.1.0", Organisation: "RX9", Person: "b"}, Calls: 7},
		{Use: cis1.Use{Day: "2030-06-04", Part: cis1.DeskAuth, Call: cis1.SignIn, Application: "lanyard-agent", Version: "0.1.0", Organisation: "RX9", Person: "d"}, Calls: 1},
	}, cis1.Switch{"ward": "2031-01-01"}, func(_, version string) bool { return version != "1.0" })
	t.Run("own rule: a report sums up who uses what, and how many people have an agent that stays", func(t *testing.T) {
		want := []cis1.Line{
			{Application: "agent", Part: "gateway", Call: "authvalidate", Version: "1.0", Organisation: "A9A5A", Calls: 2, People: 2, Last: "2030-06-02"},
			{Application: "agent", Part: "gateway", Call: "authvalidate", Version: "2.4.10.0", Organisation: "A9A5A", Calls: 4, People: 2, Last: "2030-06-03"},
			{Application: "ward", Part: "exchange", Call: "token", Calls: 5, Last: "2030-06-02", Off: "2031-01-01"},
		}
		if !slices.Equal(r.Uses, want) {
			t.Errorf("%+v", r.Uses)
		}
	})
	t.Run("own rule: the estate of agents is seen by organisation, at desks and at the gateway, and who has several is as far as the oldest", func(t *testing.T) {
		if !slices.Equal(r.Agents, []cis1.Seen{
			{"agent", "1.0", "A9A5A", 2, "2030-06-02", false}, {"agent", "2.4.10.0", "A9A5A", 2, "2030-06-03", true}, {"lanyard-agent", "0.1.0", "RX9", 2, "2030-06-04", true},
		}) {
			t.Errorf("%+v", r.Agents)
		}
		if !slices.Equal(r.Estates, []cis1.Estate{{"A9A5A", 3, 1.0 / 3}, {"RX9", 2, 1}}) || r.Current != 0.5 {
			t.Errorf("%+v, %v", r.Estates, r.Current)
		}
	})
}

func TestSwitch(t *testing.T) {
	s, wrong := cis1.ReadSwitch([]string{"WardList:2030-07-01", "::1:2031-01-01"})
	t.Run("own rule: an application is off from the beginning of its day in London", func(t *testing.T) {
		for at, want := range map[time.Time]bool{
			time.Date(2030, 6, 30, 22, 59, 59, 0, time.UTC): false, time.Date(2030, 6, 30, 23, 0, 0, 0, time.UTC): true,
		} {
			if wrong != "" || s.Off("WardList", at) != want || s.Off("Another", at) || s.Off("::1", at) {
				t.Errorf("at %v: %v", at, s.Off("WardList", at))
			}
		}
	})
	t.Run("own rule: what is no name with a day is refused", func(t *testing.T) {
		for _, row := range []string{"WardList", "WardList:", ":2030-01-01", "WardList:2030-02-30", "WardList:soon"} {
			if _, wrong := cis1.ReadSwitch([]string{row}); wrong != row {
				t.Errorf("%q is taken", row)
			}
		}
	})
}
