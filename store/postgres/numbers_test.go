package postgres

import (
	"bytes"
	"crypto/sha256"
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
