package idp

import (
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

func TestLive(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	s := Session{Level: authenticators.AAL3, AuthTime: noon.Add(-11 * time.Hour), LastAct: noon}
	for _, tt := range []struct {
		rule string
		now  time.Time
		want bool
	}{
		{"F16: servers whose clocks differ by 5 s agree", noon.Add(-5 * time.Second), true},
		{"F16: servers whose clocks differ by 30 s agree", noon.Add(-30 * time.Second), true},
		{"F16: a clock set back by 5 min ends a session that was used since", noon.Add(-5 * time.Minute), false},
		{"F16: a clock set back by an hour does not give a session that hour again", noon.Add(-time.Hour), false},
		{"F16: a clock set forward ends sessions early and none late", noon.Add(time.Hour), false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := s.Live(tt.now); got != tt.want {
				t.Errorf("Live() = %v, want %v", got, tt.want)
			}
		})
	}
}
