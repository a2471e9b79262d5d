package postgres

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

func TestNumbers(t *testing.T) {
	s := holding(t, directory.Document{People: []directory.Person{{UID: "555000000101", NINumber: "QQ123456C", Profile: "verified"}, {UID: "555000000102", NINumber: "QQ123456C", Profile: "verified"}}}, "A")
	tagOf := func(uid string) (tag []byte) {
		t.Helper()
		if err := s.pool.QueryRow(t.Context(), "SELECT ni_tag FROM people WHERE uid = $1", uid).Scan(&tag); err != nil {
			t.Fatal(err)
		}
		return tag
	}
	if err := s.TagNumbers(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: a tag tells nobody its number who has not the keyset", func(t *testing.T) {
		plain := sha256.Sum256([]byte("QQ123456C"))
		one, other := tagOf("555000000101"), tagOf("555000000102")
		if len(one) != 32 || !bytes.Equal(one, other) || bytes.Equal(one, plain[:]) {
			t.Errorf("tags %x and %x", one, other)
		}
		again := openAt(t, s.pool.Config().ConnString())
		if found, err := again.ByNINumber(t.Context(), "QQ123456C"); err != nil || len(found) != 2 {
			t.Errorf("another server finds %+v, %v", found, err)
		}
	})
	t.Run("own rule: what a release without tags writes is found, and what it wrote over is not", func(t *testing.T) {
		sealed, err := s.sealNI("555000000101", "QQ123456D")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.pool.Exec(t.Context(), "UPDATE people SET ni_number = $1 WHERE uid = '555000000101'", sealed); err != nil {
			t.Fatal(err)
		}
		if tag := tagOf("555000000101"); tag != nil {
			t.Errorf("the tag of the number before stays: %x", tag)
		}
		for number, want := range map[string]string{"QQ123456D": "555000000101", "QQ123456C": "555000000102"} {
			if found, err := s.ByNINumber(t.Context(), number); err != nil || len(found) != 1 || found[0].UID != want {
				t.Errorf("%s is of %+v, %v", number, found, err)
			}
		}
	})
}

func TestUnreadableNumber(t *testing.T) {
	t.Run("own rule: a number that cannot be read is told of, and holds nobody else up", func(t *testing.T) {
		s := holding(t, directory.Document{People: []directory.Person{{UID: "555000000101", NINumber: "QQ123456C", Profile: "verified"}, {UID: "555000000102", NINumber: "QQ123456D", Profile: "verified"},
			{UID: "555000000103", NINumber: "QQ123457A", Profile: "verified"}}}, "A")
		exec(t, s, "UPDATE people SET ni_number = 'spoilt' WHERE uid = '555000000102'")
		exec(t, s, "UPDATE people SET ni_tag = NULL")
		if found, err := s.ByNINumber(t.Context(), "QQ123457A"); err != nil || len(found) != 1 || found[0].UID != "555000000103" {
			t.Errorf("of another it is found %+v, %v", found, err)
		}
		if err := s.TagNumbers(t.Context()); err == nil || !strings.Contains(err.Error(), "of 1 people cannot be read, such as that of 555000000102") || strings.Contains(err.Error(), "QQ") {
			t.Errorf("TagNumbers: %v", err)
		}
		if has, err := s.HasNINumber(t.Context(), "555000000102", "QQ123456D"); has || err != nil {
			t.Errorf("who has it is told something else than a stranger: %t, %v", has, err)
		}
	})
}

func TestOneNumber(t *testing.T) {
	t.Run("own rule: of two servers that give one number at once to two people one hears of the other", func(t *testing.T) {
		s := holding(t, directory.Document{}, "A")
		both := []*Store{s, openAt(t, s.pool.Config().ConnString())}
		for round := range 10 {
			number := fmt.Sprintf("QQ12345%dA", round)
			var faster atomic.Int64
			var all sync.WaitGroup
			for i, at := range both {
				all.Go(func() {
					err := at.Change(t.Context(), registry.Touch{NINumber: number}, func(r *registry.Records) (idp.Act, error) {
						if len(r.SameNumber) > 0 {
							return idp.Act{}, registry.ErrConfirm
						}
						p := &registry.Person{}
						p.UID, p.Profile, p.NINumber = fmt.Sprintf("5560000%03d%02d", round, i), idp.Verified, number
						r.People[p.UID] = p
						return idp.Act{Event: idp.Event{At: at.now(), Kind: registry.PersonAdded}}, nil
					})
					switch {
					case err == nil:
						faster.Add(1)
					case !errors.Is(err, registry.ErrConfirm):
						t.Error(err)
					}
				})
			}
			if all.Wait(); faster.Load() != 1 {
				t.Fatalf("%s is of %d people", number, faster.Load())
			}
		}
	})
}

func TestForgetApplicants(t *testing.T) {
	t.Run("own rule: nobody's details are kept for longer than they can be decided on", func(t *testing.T) {
		s := holding(t, directory.Document{Organisations: []directory.Organisation{{Code: "RT1"}}}, "A")
		now := s.now()
		err := s.Change(t.Context(), registry.Touch{}, func(r *registry.Records) (idp.Act, error) {
			for id, until := range map[string]time.Time{"1": now, "2": now.Add(time.Hour)} {
				r.Applicants[id] = &registry.Applicant{ID: id, State: registry.HasApplied, Hash: id, At: "RT1", InvitedAt: now, Until: until}
			}
			r.Applicants["3"] = &registry.Applicant{ID: "3", State: registry.IsRefused, Hash: "3", At: "RT1", InvitedAt: now, Until: now}
			return idp.Act{Event: idp.Event{At: now, Kind: registry.ApplicantInvited}}, nil
		})
		if err == nil {
			err = s.ForgetApplicants(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Records(t.Context(), registry.Touch{Applicants: []string{"1", "2", "3"}})
		if err != nil || r.Applicants["1"] != nil || r.Applicants["2"] == nil || r.Applicants["3"] == nil {
			t.Errorf("there are %v, %v", r.Applicants, err)
		}
	})
}
