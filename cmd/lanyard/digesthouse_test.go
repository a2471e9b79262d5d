package main

import (
	"bytes"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// inTheMorning is today at seven in London.
func inTheMorning() time.Time {
	begins, _ := idp.DateOf(time.Now()).Begins()
	return begins.Add(7 * time.Hour)
}

func TestSendDigests(t *testing.T) {
	settings := aProduction(t)
	box := withMail(t, settings)
	settings["smtp.digests"] = "true"
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	open := func(settings map[string]string) *production {
		p, err := wireProduction(t.Context(), settledOf(t, settings), logger)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.close)
		return p
	}
	first := open(settings)
	people := productionDirectory(t)
	yesterday := idp.DateOf(time.Now().AddDate(0, 0, -2))
	robot := directory.Person{UID: "555000000992", Profile: idp.Verified, Email: "robot@northern.example", Name: directory.Name{Display: "Robot"},
		Robot:     directory.Robot{Owner: manager, Until: "2099-01-01"},
		Positions: []directory.Position{{ID: "555000000993", OrgPersonID: "555000000994", Organisation: "X26", RoleCode: "S0080:G0450:R5090", From: "2024-01-01"}}}
	gone := directory.Person{UID: "555000000995", Profile: idp.Verified, Email: "gone@northern.example", Name: directory.Name{Given: "Gone", Family: "Person"},
		Positions: []directory.Position{{ID: "555000000996", OrgPersonID: "555000000997", Organisation: "X26", RoleCode: "S0080:G0450:R5090", From: "2024-01-01", To: yesterday}}}
	people.People = append(people.People, robot, gone)
	if err := first.registry.Load(t.Context(), people, ""); err != nil {
		t.Fatal(err)
	}
	waiting := func() int { return count(t, settings["postgres.url"], "SELECT count(*) FROM outbox") }

	t.Run("own rule: digests are off until they are switched on", func(t *testing.T) {
		off := open(withSetting(settings, "smtp.digests", "false"))
		if err := off.sendDigests(t.Context()); err != nil || off.digests != nil || waiting() != 0 {
			t.Errorf("%v, %d mails", err, waiting())
		}
	})
	t.Run("own rule: of many servers one tells the registration authority once a morning, and no other time", func(t *testing.T) {
		servers := []*production{first, open(settings), open(settings)}
		for _, p := range servers {
			p.digests.digests.Service.Now = func() time.Time { return inTheMorning().Add(5 * time.Hour) }
			if err := p.sendDigests(t.Context()); err != nil || waiting() != 0 {
				t.Fatalf("at noon: %v, %d mails", err, waiting())
			}
		}
		var all sync.WaitGroup
		for _, p := range servers {
			p.digests.digests.Service.Now = inTheMorning
			all.Go(func() {
				for range 3 { // as the minutes pass
					if err := p.sendDigests(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		later := open(settings) // one that knows nothing of what the others did
		later.digests.digests.Service.Now = inTheMorning
		if err := later.sendDigests(t.Context()); err != nil || waiting() != 2 {
			t.Errorf("%v, %d mails, want one for the manager and one for the agent", err, waiting())
		}
		if n := strings.Count(lanyard(t, settings, "audit", "export").out, `"digests_sent"`); n != 1 {
			t.Errorf("the journal has it %d times", n)
		}
	})
	t.Run("own rule: a digest has numbers and a link, and names nobody", func(t *testing.T) {
		serveOn(t, settings)
		until(t, "both came", func() bool { return len(box.Letters()) >= 2 })
		to := map[string]bool{}
		for i, m := range box.Letters() {
			to[m.Header.Get("To")] = true
			text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(box.Texts()[i])))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"Northern Care Authority (X26)", "Robotic workers: 1", "http://localhost:1/ra"} {
				if !strings.Contains(string(text), want) {
					t.Errorf("it does not say %q:\n%s", want, text)
				}
			}
			for _, p := range people.People {
				if strings.Contains(string(text), p.UID) || p.Name.Family != "" && strings.Contains(string(text), p.Name.Family) || strings.Contains(string(text), "{") {
					t.Errorf("it has what is somebody's, or of nobody:\n%s", text)
				}
			}
		}
		if len(to) != 2 || !to["<priya.nair@northern.example>"] || !to["<daniel.goldberg@northern.example>"] {
			t.Errorf("they came to %v", to)
		}
		if strings.Contains(log.String(), "northern.example") {
			t.Errorf("the log has an address:\n%s", log.String())
		}
	})
}
