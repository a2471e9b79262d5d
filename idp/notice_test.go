package idp

import (
	"testing"
	"time"
)

func TestNoticeDue(t *testing.T) {
	warn := []int{90, 30, 14, 7, 3, 1}
	day := 24 * time.Hour
	ends := noon.Add(12 * day)
	for _, tt := range []struct {
		rule string
		ends time.Time
		last time.Time
		warn []int
		want bool
	}{
		{"smartcard: whose certificate ends in 12 days is told", ends, time.Time{}, warn, true},
		{"smartcard: and not a second time the same day", ends, noon.Add(-time.Hour), warn, false},
		{"smartcard: nor before the next of the days", ends, noon.Add(-day), warn, false},
		{"smartcard: who was told 20 days before is told again from 14", ends, noon.Add(-8 * day), warn, true},
		{"smartcard: 91 days before nobody is", noon.Add(91 * day), time.Time{}, warn, false},
		{"smartcard: 90 days before they are", noon.Add(90 * day), time.Time{}, warn, true},
		{"smartcard: what has no end tells nothing", time.Time{}, time.Time{}, warn, false},
		{"smartcard: without days nobody is told", ends, time.Time{}, nil, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := NoticeDue(tt.ends, tt.last, noon, tt.warn); got != tt.want {
				t.Errorf("NoticeDue() = %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("smartcard: a day that has begun counts as one", func(t *testing.T) {
		for left, want := range map[time.Duration]int{time.Second: 1, day: 1, day + time.Second: 2, 12 * day: 12} {
			if got := DaysLeft(noon.Add(left), noon); got != want {
				t.Errorf("DaysLeft(%v) = %d, want %d", left, got, want)
			}
		}
	})
}
