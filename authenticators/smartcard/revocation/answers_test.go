package revocation

import (
	"testing"
	"time"
)

func TestAnswersPut(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	said := func(status Status, made time.Time) answer {
		return answer{status: status, made: made, until: noon.Add(24 * time.Hour), heard: noon}
	}
	for _, tt := range []struct {
		rule         string
		first, later answer
		want         Status
	}{
		{"X7: an older good does not undo that nobody issued it", said(Unknown, noon), said(Good, noon.Add(-time.Hour)), Unknown},
		{"X7: a newer good does", said(Unknown, noon), said(Good, noon.Add(time.Hour)), Good},
		{"X7: an older good does not undo a revocation", said(Revoked, noon), said(Good, noon.Add(-time.Hour)), Revoked},
		{"X7: nobody issued it, after it was good", said(Good, noon), said(Unknown, noon.Add(time.Hour)), Unknown},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var s answers
			s.put(certificate{}, tt.first, noon)
			if got := s.put(certificate{}, tt.later, noon); got.status != tt.want {
				t.Errorf("put() = %v, want %v", got.status, tt.want)
			}
			if got, ok := s.usable(certificate{}, noon); !ok || got.status != tt.want {
				t.Errorf("usable() = %v, %v; want %v", got.status, ok, tt.want)
			}
		})
	}
	t.Run("X7: that nobody issued it does not end a revocation", func(t *testing.T) {
		var s answers
		s.put(certificate{}, said(Revoked, noon), noon)
		s.put(certificate{}, said(Unknown, noon.Add(time.Hour)), noon)
		if got, ok := s.usable(certificate{}, noon); !ok || got.status != Revoked {
			t.Errorf("usable() = %v, %v; want Revoked", got.status, ok)
		}
	})
}
