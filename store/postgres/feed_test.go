package postgres

import "testing"

func TestFeed(t *testing.T) {
	t.Run("own rule: the feed becomes fresh by itself", func(t *testing.T) {
		s := listening(t, open(t))
		have, want, err := s.Schema(t.Context())
		if err != nil || have != want {
			t.Errorf("Schema() = %d, %d, %v", have, want, err)
		}
	})
}
