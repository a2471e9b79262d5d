package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// edit changes the people of t.
func edit(t *testing.T, s *Store, touch registry.Touch, change func(*registry.Records)) error {
	t.Helper()
	return s.Change(t.Context(), touch, func(r *registry.Records) (idp.Act, error) {
		change(r)
		return anActOf(idp.EmailChanged, "edit"), nil
	})
}

// ofAsha is a change that reads Asha alone.
var ofAsha = registry.Touch{People: []string{asha}}

func aPersonCalled(uid string) *registry.Person {
	return &registry.Person{Person: directory.Person{UID: uid, Profile: idp.Verified}}
}

func TestUIDs(t *testing.T) {
	url := migratedTo(t, 5)
	s := openAt(t, url)
	exec(t, s, "INSERT INTO people (uid, profile) VALUES ('000000000001', 'verified')")
	if err := Migrate(t.Context(), url, silent); err != nil {
		t.Fatal(err)
	}
	// As the release before writes them.
	exec(t, s, "INSERT INTO people (uid, profile) VALUES ('000000000002', 'verified'), ('000000000003', 'verified')")
	t.Run("directory: a uid is never used again, whoever had it and whoever deletes them", func(t *testing.T) {
		exec(t, s, "DELETE FROM people")
		for _, uid := range []string{"000000000001", "000000000002", "000000000003"} {
			if err := edit(t, s, registry.Touch{People: []string{uid}}, func(r *registry.Records) { r.People[uid] = aPersonCalled(uid) }); !errors.Is(err, idp.ErrTaken) {
				t.Errorf("Change: %v, want ErrTaken", err)
			}
			if _, err := s.pool.Exec(t.Context(), "INSERT INTO people (uid, profile) VALUES ($1, 'verified')", uid); err == nil {
				t.Errorf("%s was used again", uid)
			}
		}
		if events := eventsOf(t, s); len(events) != 0 {
			t.Errorf("%d events tell of it", len(events))
		}
	})
	t.Run("directory: nobody gets another uid", func(t *testing.T) {
		exec(t, s, "INSERT INTO people (uid, profile) VALUES ('000000000004', 'verified')")
		if _, err := s.pool.Exec(t.Context(), "UPDATE people SET uid = '000000000005'"); err == nil {
			t.Error("somebody has another uid")
		}
	})
}

func TestRegistrationKeepsSecrets(t *testing.T) {
	t.Run("own rule: what waits for a second person is kept sealed, and so is an NI number", func(t *testing.T) {
		s := holding(t, document(t, everything), "")
		if err := edit(t, s, ofAsha, func(r *registry.Records) {
			r.People[asha].NINumber = "QQ999999A"
			r.Requests["r"] = &registry.Request{ID: "r", Change: []byte(`{"ni_number":"QQ999999B"}`), State: "waiting", AskedAt: time.Now(), Until: time.Now()}
		}); err != nil {
			t.Fatal(err)
		}
		var people, requests string
		if err := s.pool.QueryRow(t.Context(), "SELECT string_agg(p::text, ''), (SELECT string_agg(r::text, '') FROM requests r) FROM people p").Scan(&people, &requests); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(people, "QQ999999") || strings.Contains(requests, "QQ999999") {
			t.Errorf("%s\n%s", people, requests)
		}
		for _, e := range exported(t, s, time.Time{}, time.Time{}) {
			if strings.Contains(fmt.Sprint(e), "QQ999999") {
				t.Error("the journal has it")
			}
		}
	})
}

func TestRegistrationBeforeItsMigration(t *testing.T) {
	for _, version := range []int64{5, 6} {
		t.Run(fmt.Sprintf("own rule: on the schema before, %d, people sign in and nobody registers; after it they do, without a restart", version), func(t *testing.T) {
			url := migratedTo(t, version)
			s := openAt(t, url)
			exec(t, s, "INSERT INTO people (uid, profile) VALUES ($1, 'verified')", asha)
			exec(t, s, "INSERT INTO cards (issuer, serial, written, uid, place, series, state) VALUES ('A', '01', '1', $1, 0, 9, 'active')", asha)
			if p, err := s.Person(t.Context(), asha); err != nil || p.Robot || !p.Holds["card:01"] {
				t.Errorf("Person = %+v, %v", p, err)
			}
			if d, err := s.Document(t.Context()); err != nil || len(d.People) != 1 || len(d.People[0].Cards) != 1 {
				t.Errorf("Document = %+v, %v", d, err)
			}
			refused := idp.Event{At: time.Now(), Kind: idp.SignInNo, Request: "ABCDEFGHIJ", Subject: asha}
			if err := s.Record(t.Context(), refused); err != nil {
				t.Error(err)
			}
			if version < 6 {
				_, err := s.ByReference(t.Context(), "ABCDEFGH")
				if err2 := edit(t, s, ofAsha, func(*registry.Records) {}); !errors.Is(err, idp.ErrUnavailable) || err2 != nil && !errors.Is(err2, idp.ErrUnavailable) {
					t.Errorf("%v, %v; want ErrUnavailable", err, err2)
				}
			}
			if err := Migrate(t.Context(), url, silent); err != nil {
				t.Fatal(err)
			}
			if err := s.Record(t.Context(), refused); err != nil {
				t.Error(err)
			}
			if err := edit(t, s, ofAsha, func(r *registry.Records) { r.People[asha].Robot.Owner = "555000000102" }); err != nil {
				t.Error(err)
			}
			if found, err := s.ByReference(t.Context(), "ABCDEFGH"); err != nil || len(found) == 0 {
				t.Errorf("ByReference = %v, %v", found, err)
			}
			whole(t, s)
		})
	}
}

func TestRegistrationOfTwoServers(t *testing.T) {
	url := aDatabase(t)
	a, b := openAt(t, url), listening(t, openAt(t, url))
	if err := a.Load(t.Context(), document(t, everything), "A"); err != nil {
		t.Fatal(err)
	}
	t.Run("A10: what one server stops another does not take, and applications are told", func(t *testing.T) {
		aToken(t, b, "s1")
		if p, err := b.Person(t.Context(), asha); err != nil || !p.Holds["card:0101"] {
			t.Fatalf("Person = %+v, %v", p, err)
		}
		if err := edit(t, a, ofAsha, func(r *registry.Records) { r.People[asha].Cards[0].State = "revoked" }); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "the other server hears of it", func() bool {
			p, err := b.Person(t.Context(), asha)
			c, err2 := b.CardByCertificate(t.Context(), "A", "0101")
			return err == nil && err2 == nil && !p.Holds["card:0101"] && c.State == "revoked"
		})
		if due, err := b.DueWatches(t.Context(), time.Now(), time.Now().Add(time.Minute), 10); err != nil || len(due) != 1 {
			t.Errorf("%v are due, %v", due, err)
		}
	})
	t.Run("own rule: two servers that change one person at once both do", func(t *testing.T) {
		for round := range 8 {
			errs := make(chan error, 2)
			for i, s := range []*Store{a, b} {
				go func() {
					errs <- edit(t, s, registry.Touch{People: []string{asha, "555000000102"}}, func(r *registry.Records) {
						p := r.People[asha]
						p.Positions = append(p.Positions, directory.Position{ID: fmt.Sprint("5", round, i), Organisation: "b1", RoleCode: "R"})
						p.Name.Middle += "x" // of what the other wrote
					})
				}()
			}
			if err := errors.Join(<-errs, <-errs); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := a.Records(t.Context(), ofAsha); err != nil || len(r.People[asha].Positions) != 2+16 || r.People[asha].Name.Middle != "Jo"+strings.Repeat("x", 16) {
			t.Errorf("%d positions, %q, %v", len(r.People[asha].Positions), r.People[asha].Name.Middle, err)
		}
		whole(t, a)
	})
}

func TestRegistrationBesideSignIns(t *testing.T) {
	s := holding(t, document(t, everything), "A")
	t.Run("own rule: what a person stops while it is changed stays stopped", func(t *testing.T) {
		tries := 0
		err := edit(t, s, ofAsha, func(r *registry.Records) {
			if tries++; tries == 1 {
				if err := s.StopCard(t.Context(), asha, "0101", anActOf(idp.AuthenticatorSuspended, "lost")); err != nil {
					t.Error(err)
				}
			}
			r.People[asha].Cards[0].EndsOn = "2031-01-01"
		})
		r, err2 := s.Records(t.Context(), ofAsha)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if c := r.People[asha].Cards[0]; c.State != "suspended" || c.EndsOn != "2031-01-01" || tries != 2 {
			t.Errorf("after %d tries the card is %+v", tries, c)
		}
	})
	t.Run("own rule: no sign-in waits for a decision", func(t *testing.T) {
		err := edit(t, s, ofAsha, func(r *registry.Records) {
			use := &authenticators.Use{ID: "k"}
			if err := s.Record(t.Context(), idp.Event{At: time.Now(), Kind: idp.SignedIn, Subject: asha, Use: use}); err != nil {
				t.Errorf("Record: %v", err)
			}
			if err := s.SaveLastRole(t.Context(), asha, "ward", "x"); err != nil {
				t.Errorf("SaveLastRole: %v", err)
			}
			r.People[asha].Mobile = ""
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("own rule: a card that is suspended while it gets its certificate stays suspended", func(t *testing.T) {
		tries := 0
		err := edit(t, s, ofAsha, func(r *registry.Records) {
			if tries++; tries == 1 {
				exec(t, s, "UPDATE cards SET state = 'suspended' WHERE serial = '0ABC'")
			}
			p := r.People[asha]
			p.Issuers[p.Cards[1].Serial] = "ANOTHER" // its row has another key now
		})
		var state string
		if err2 := s.pool.QueryRow(t.Context(), "SELECT state FROM cards WHERE serial = '0ABC' AND issuer = 'ANOTHER'").Scan(&state); err != nil || err2 != nil || tries != 2 || state != "suspended" {
			t.Errorf("after %d tries it is %q: %v, %v", tries, state, err, err2)
		}
		exec(t, s, "UPDATE cards SET state = 'active' WHERE serial = '0ABC'")
	})
	t.Run("own rule: a change that always meets another is given up and told", func(t *testing.T) {
		tries := 0
		err := edit(t, s, ofAsha, func(r *registry.Records) {
			exec(t, s, "UPDATE cards SET series = series, state = CASE state WHEN 'active' THEN 'blocked' ELSE 'active' END WHERE serial = '0ABC'")
			tries++
			r.People[asha].Cards[1].Series = 7
		})
		if !errors.Is(err, idp.ErrUnavailable) || tries != mostTries {
			t.Errorf("after %d tries: %v", tries, err)
		}
	})
}

func TestRegistrationThroughFaults(t *testing.T) {
	t.Run("F7: of a change that PostgreSQL dies in nothing is left, and the next is made", func(t *testing.T) {
		p, url := aServer(t)
		s := openAt(t, url)
		if err := s.Load(t.Context(), document(t, everything), ""); err != nil {
			t.Fatal(err)
		}
		before, err := s.Document(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = edit(t, s, ofAsha, func(r *registry.Records) {
			r.People[asha].Positions, r.People[asha].Email = nil, "x@x.example"
			if err := p.Kill(); err != nil {
				t.Error(err)
			}
		})
		if !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Change: %v, want ErrUnavailable", err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var after directory.Document
		eventually(t, back, "PostgreSQL answers", func() bool {
			after, err = s.Document(t.Context())
			return err == nil
		})
		if written(t, after) != written(t, before) || len(eventsOf(t, s)) != 0 {
			t.Error("something of it is left")
		}
		eventually(t, back, "the next is made", func() bool {
			return edit(t, s, ofAsha, func(r *registry.Records) { r.People[asha].Email = "y@x.example" }) == nil
		})
		whole(t, s)
	})
}

func TestManyInOneChange(t *testing.T) {
	t.Run("own rule: a document of many people comes in one change, and a second time nothing is written", func(t *testing.T) {
		s := holding(t, document(t, everything), "")
		const many = 3000
		var touch registry.Touch
		for i := range many {
			touch.People = append(touch.People, fmt.Sprintf("7%011d", i))
		}
		put := func(r *registry.Records) {
			for i, uid := range touch.People {
				p := r.People[uid]
				if p == nil {
					p = aPersonCalled(uid)
					r.People[uid] = p
				}
				p.Email = uid + "@x.example"
				p.Positions = []directory.Position{{ID: "8" + uid, Organisation: "b1", RoleCode: "R"}}
				p.Cards = []directory.Card{{Serial: fmt.Sprintf("%X", 0x10000+i), Series: 9, State: "active", Registered: true}}
			}
		}
		for range 2 {
			began := time.Now()
			if err := edit(t, s, touch, put); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		}
		var dead int
		if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM people WHERE xmin::text <> (SELECT xmin::text FROM used_uids WHERE used_uids.uid = people.uid)").Scan(&dead); err != nil || dead != 0 {
			t.Errorf("%d people were written twice, %v", dead, err)
		}
	})
}

func TestFindingCostsNoSignIn(t *testing.T) {
	t.Run("own rule: what a sign-in writes is not written down to be found", func(t *testing.T) {
		for _, kind := range []idp.Kind{idp.SignedIn, idp.RoleChosen, idp.TokenIssued} {
			n := &entry{}
			if err := n.fill(idp.Event{Kind: kind, Request: "ABCDEFGH", Subject: asha}, nil); err != nil || n.find != nil {
				t.Errorf("%s: %+v, %v", kind, n.find, err)
			}
		}
		for with, sql := range record {
			if strings.Contains(sql, "audit_index") != with.finds {
				t.Errorf("%+v: %s", with, sql)
			}
		}
	})
}
