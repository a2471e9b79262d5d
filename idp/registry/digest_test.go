package registry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// readers are who looks after worklists, and how many are on the list of locked
// cards at an organisation. On others there is nobody.
type readers struct {
	*world
	all    []Addressee
	locked map[string]int
	asked  Audience
	counts int // how often a list was counted
	outage error
}

func (r *readers) Addressees(_ context.Context, a Audience, _ idp.Date, most int) ([]Addressee, error) {
	r.asked = a
	return r.all[:min(most, len(r.all))], nil
}

func (r *readers) Worklist(_ context.Context, l List, q Query, _ time.Time) ([]Found, string, error) {
	r.counts++
	if l != Locked {
		return nil, "", r.outage
	}
	n, next := r.locked[q.At], ""
	if n > q.Size() {
		n, next = q.Size(), "more"
	}
	return make([]Found, n), next, r.outage
}

// Locked implements Locks: nobody is locked out elsewhere.
func (*readers) Locked(context.Context, time.Time) ([]idp.LimitKey, error) { return nil, nil }

func aMorning(t *testing.T, all ...Addressee) (*readers, *Digests) {
	t.Helper()
	r := &readers{world: aWorld(t), all: all, locked: map[string]int{"": 7, "RX9": 2, "RX8": 3, "RX7": 5000}}
	r.Finder, r.Locks, r.Addresses, r.Address = r, r, r, "https://id.hospital.example"
	return r, &Digests{Service: r.Service}
}

func reader(uid, code string) Addressee {
	return Addressee{UID: uid, Email: uid + "@ward.example", Organisation: code, Name: "Name of " + code}
}

func TestDigests(t *testing.T) {
	t.Run("own rule: a digest has the numbers of each organisation of its reader, and no names", func(t *testing.T) {
		r, d := aMorning(t, reader("1", "RX7"), reader("1", "RX9"), reader("2", "RX9"))
		done, err := d.Send(t.Context(), "2030-01-02")
		if err != nil || done.Told != 2 || len(r.mails) != 2 {
			t.Fatalf("%+v, %v", done, err)
		}
		m := r.mails[0]
		if m.To != "1@ward.example" || m.Text != "mail.digest" || m.Args["organisations"] != "Name of RX7 (RX7); Name of RX9 (RX9)" ||
			m.Args["locked"] != "1000+; 2" || m.Args["expiring"] != "0; 0" || m.Args["address"] != "https://id.hospital.example/ra" || len(m.Args) != len(Lists)+2 {
			t.Errorf("the first is %+v", m)
		}
		if m := r.mails[1]; m.To != "2@ward.example" || m.Args["locked"] != "2" {
			t.Errorf("the second is %+v", m)
		}
		if r.counts != 2*len(Lists) {
			t.Errorf("lists were counted %d times for two organisations", r.counts)
		}
		if e := r.events[len(r.events)-1]; e.Kind != idp.DigestsSent || e.Reason != "2030-01-02: 2" {
			t.Errorf("the journal has %+v", e)
		}
		if got := strings.Join(r.asked.Roles, " "); got != "R5080 R5090" {
			t.Errorf("asked for are %s", got)
		}
	})
	t.Run("own rule: who has nothing to look at gets no digest, and home counts as above all", func(t *testing.T) {
		r, d := aMorning(t, reader("1", "RX6"), reader("2", "HOM"))
		if done, err := d.Send(t.Context(), "2030-01-02"); err != nil || done.Told != 1 || r.mails[0].To != "2@ward.example" || r.mails[0].Args["locked"] != "7" {
			t.Errorf("%+v, %v: %+v", done, err, r.mails)
		}
	})
	t.Run("own rule: digests are bounded in readers and organisations", func(t *testing.T) {
		var all []Addressee
		for _, code := range []string{"RX1", "RX2", "RX3", "RX4", "RX9", "RX8"} {
			all = append(all, reader("0", code))
		}
		for len(all) <= mostReaders {
			all = append(all, reader(idp.NewSecret(), "RX9"))
		}
		r, d := aMorning(t, all...)
		done, err := d.Send(t.Context(), "2030-01-02")
		if err != nil || !done.More || done.Told != mostReaders-5 || r.mails[0].Args["locked"] != "0; 0; 0; 0; 2" {
			t.Errorf("%+v, %v: %v", done, err, r.mails[0].Args)
		}
	})
	t.Run("own rule: nobody is told what could not be counted", func(t *testing.T) {
		r, d := aMorning(t, reader("1", "RX9"))
		r.outage = idp.ErrUnavailable
		if _, err := d.Send(t.Context(), "2030-01-02"); !errors.Is(err, idp.ErrUnavailable) || len(r.mails)+len(r.events) != 0 {
			t.Errorf("%v, %d mails", err, len(r.mails))
		}
	})
	for at, want := range map[string]idp.Date{
		"2030-01-02T05:59:59Z": "", "2030-01-02T06:00:00Z": "2030-01-02", "2030-01-02T08:59:59Z": "2030-01-02", "2030-01-02T09:00:00Z": "",
		"2030-07-02T05:00:00Z": "2030-07-02", "2030-07-02T08:00:00Z": "", "2030-07-02T23:30:00Z": "",
	} {
		t.Run("own rule: digests are of the morning in London, "+at, func(t *testing.T) {
			r, d := aMorning(t)
			now, err := time.Parse(time.RFC3339, at)
			if r.at = now; err != nil || d.Morning() != want {
				t.Errorf("%q, want %q", d.Morning(), want)
			}
		})
	}
}
