// Package conformance holds the tests that every store must pass: one suite
// for each interface that a caller asks of storage, races included.
//
// A store's own test opens itself empty, or with a given directory, and runs
// the suites of what it implements. What only one store promises is tested
// beside that store.
package conformance

import (
	"strings"
	"sync"
	"testing"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// racers is how many try at once where only one may win.
const racers = 32

// atOnce runs try at the same instant in many goroutines and returns how many
// won.
func atOnce(try func(n int) (won bool)) int {
	var (
		wg    sync.WaitGroup
		start = make(chan struct{})
		won   = make(chan struct{}, racers)
	)
	for n := range racers {
		wg.Go(func() {
			<-start
			if try(n) {
				won <- struct{}{}
			}
		})
	}
	close(start)
	wg.Wait()
	return len(won)
}

// read returns the document that is written in text.
func read(t *testing.T, text string) directory.Document {
	t.Helper()
	d, err := directory.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// surgery is a small directory: a nurse with every kind of card, and two
// clients.
const surgery = `
organisations:
  - {code: 5E1, name: Millbrook Trust}
people:
  - uid: "555000000101"
    name: {title: Ms, given: Ada, middle: Grace May, family: Cole, display: Ada Cole}
    email: ada.cole@millbrook.example
    identity_assurance: 3
    professional: {nmc_id: 98A7654E}
    positions:
      - {id: 000000000201, org_person_id: 000000000301, organisation: 5E1, role_code: "S8000:G8000:R8001", role_name: '"A":"B":"Nurse"',
         activities: [{code: B0360, name: View}], workgroups: [{code: 000000000401, name: Ward}], areas_of_work: [{code: P1, name: Area}],
         from: 2024-01-01, to: 2034-01-01}
    memberships: [{org_person_id: 000000000301, organisation: 5E1, gnc: G1}]
    cards:
      - {serial: 0000101, series: 9}
      - {serial: 0AbC, series: 5, state: blocked}
      - {serial: 0000102, registered: false}
    authenticators:
      - {id: c1, kind: totp, handle: "555000000101", name: My phone, method: TOTP, level: 2, state: suspended, self_claimed: true, added_at: "2029-02-01T09:00:00.000001Z", record: eyJzIjoiQkcifQ==, mark: eyJzdGVwIjo1fQ==}
      - {id: k1, kind: passkey, handle: h1, name: Key, model: YubiKey 5, method: FIDO2, level: 3, added_at: "2029-01-01T09:00:00Z", record: eyJrIjoxfQ==}
  - {uid: "000000000102", profile: closed}
clients:
  - {id: ward, name: Ward list, secret: s, redirect_uris: [https://ward.example/cb], min_level: 3, acr_allowed: [AAL3_ANY]}
  - {id: 0001, auth_method: none}
`
