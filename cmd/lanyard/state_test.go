package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A password with codes is of no use after a restart unless what sealed its
// seed is kept, too.
func TestStateKeepsWhatPeopleHold(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.yaml")
	keep := func(o *devOptions) { o.state = state }
	var a *app
	t.Run("before", func(t *testing.T) {
		s, p := start(t, keep), newPerson(t)
		p.atAccount(s, oneRole)
		a = p.addsCode(s, time.Now())
	})
	t.Run("own rule: with --state people sign in after a restart with what they added before it", func(t *testing.T) {
		s, p := start(t, keep), newPerson(t)
		p.open(s.issuer + "/account")
		next := time.Now().Add(30 * time.Second) // the step of the enrolment is used up
		p.usesCode("asha.smith@riverside.example", goodPassword, a.code(next))
		p.wantAccount()
	})
	t.Run("own rule: what seals the state is for nobody else to read", func(t *testing.T) {
		info, err := os.Stat(state + ".keyset")
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%v, %v", info, err)
		}
	})
}
