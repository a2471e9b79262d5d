package api

import "testing"

func TestStreams(t *testing.T) {
	t.Run("own rule: two pages listen for one desk, however many are opened", func(t *testing.T) {
		var s streams
		if first, second := s.join("a"), s.join("a"); !first || !second || s.join("a") {
			t.Error("not two for one desk")
		}
		if !s.join("b") {
			t.Error("none for another desk")
		}
		s.leave("a")
		if !s.join("a") || s.join("a") {
			t.Error("not one more when one has left")
		}
		s.leave("a")
		s.leave("a")
		s.leave("b")
		if s.all != 0 || len(s.of) != 0 {
			t.Errorf("%d listen, to %v, when all have left", s.all, s.of)
		}
	})
	t.Run("own rule: a server has so many streams and no more", func(t *testing.T) {
		s := streams{all: maxStreams}
		if s.join("a") || len(s.of) != 0 {
			t.Error("one more")
		}
	})
}
