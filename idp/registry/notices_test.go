package registry

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

func aNotice(code string) SendNotice {
	return SendNotice{Organisation: code, Role: "R8001", Series: 9, Subject: "Readers on Ward 7", Text: "They are {replaced}.\n\nUse the others."}
}

func TestNotices(t *testing.T) {
	told := []Addressee{reader("1", "LOW"), reader("1", "MID"), reader("2", "MID")}
	t.Run("own rule: a notice is one mail to each person, that says whose it is", func(t *testing.T) {
		w := aWorld(t)
		w.told = told
		manager := w.holder(Manager, "TOP")
		done := w.do(t, manager, aNotice("MID"))
		if done.Told == nil || *done.Told != 2 || len(w.mails) != 2 || w.mails[0].To != "1@ward.example" || w.mails[1].To != "2@ward.example" {
			t.Fatalf("%+v: %+v", done, w.mails)
		}
		if m := w.mails[0]; m.Text != "mail.notice" || m.Args["sender"] != w.person(manager).IDP(nil).Name.Display || m.Args["organisation"] != w.records.Organisations["TOP"].Name ||
			m.Args["subject"] != "Readers on Ward 7" || m.Args["text"] != "They are {replaced}.\n\nUse the others." {
			t.Errorf("it is %+v", m)
		}
		if a := w.audience; !slices.Equal(a.Roles, []string{"R8001"}) || a.Series != 9 || !slices.Contains(a.At, "LOW") || slices.Contains(a.At, "TOP") {
			t.Errorf("asked for are %+v", a)
		}
		if e := w.events[len(w.events)-1]; e.Kind != NoticeSent || e.Actor != manager || e.Organisation != "MID" || e.Reason != "told 2; role R8001; series 9; Readers on Ward 7" {
			t.Errorf("the journal has %+v", e)
		}
	})
	t.Run("own rule: a check says how many a notice would tell, and tells nobody", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		for _, all := range [][]Addressee{told, nil} {
			w.told = all
			p, err := w.Check(t.Context(), w.actor(manager), aNotice("MID"))
			if err != nil || p.Told == nil || *p.Told != min(2, len(all)) || len(w.mails) != 0 {
				t.Errorf("%+v, %v: %d mails", p, err, len(w.mails))
			}
		}
	})
	t.Run("own rule: a notice tells nobody beyond its sender's reach, and no more than it may", func(t *testing.T) {
		w := aWorld(t)
		w.told = told
		w.not(t, w.holder(Manager, "LOW"), aNotice("MID"), ErrNoAuthority)
		w.not(t, w.holder(Advanced, "MID"), aNotice("MID"), ErrNoAuthority)
		manager := w.holder(Manager, "MID")
		w.told = nil
		for n := range mostTold + 1 {
			w.told = append(w.told, reader(strconv.Itoa(n), "MID"))
		}
		w.not(t, manager, aNotice("MID"), ErrMany)
		w.told = slices.Repeat(told[:1], mostHeld+1)
		w.not(t, manager, aNotice("MID"), ErrMany)
		if len(w.mails) != 0 {
			t.Errorf("%d mails", len(w.mails))
		}
	})
	for name, change := range map[string]func(*SendNotice){
		"no organisation":        func(n *SendNotice) { n.Organisation = "" },
		"a role of three codes":  func(n *SendNotice) { n.Role = "S8000:G8000:R8001" },
		"no series":              func(n *SendNotice) { n.Series = 100 },
		"no subject":             func(n *SendNotice) { n.Subject = " " },
		"a subject of two lines": func(n *SendNotice) { n.Subject = "Lifts\nBcc: all" },
		"a long subject":         func(n *SendNotice) { n.Subject = strings.Repeat("x", maxSubject+1) },
		"no text":                func(n *SendNotice) { n.Text = "\n\n" },
		"a long text":            func(n *SendNotice) { n.Text = strings.Repeat("x\n", maxNotice/2+1) },
		"what nobody sees":       func(n *SendNotice) { n.Text = "a\x1b[2Jb" },
		"a carriage return":      func(n *SendNotice) { n.Text = "a\rb" },
	} {
		t.Run("own rule: no notice has "+name, func(t *testing.T) {
			w := aWorld(t)
			n := aNotice("MID")
			change(&n)
			if _, err := w.Do(t.Context(), w.actor(w.holder(Manager, "MID")), n); !errors.Is(err, ErrField) || len(w.mails) != 0 {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("own rule: an outage of who is meant is told", func(t *testing.T) {
		w := aWorld(t)
		w.toldNone = idp.ErrUnavailable
		if _, err := w.Do(t.Context(), w.actor(w.holder(Manager, "MID")), aNotice("MID")); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
}
