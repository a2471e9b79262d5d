package idp

import (
	"errors"
	"testing"
	"time"
)

func TestRotation(t *testing.T) {
	p := DefaultKeyPolicy
	day := 24 * time.Hour

	t.Run("F17: whatever a client keeps for a day verifies every token for its life", func(t *testing.T) {
		w := begun(t, p)
		kinds := []KeyKind{P256Key} // each goes its own way
		// How long ago each key was first published, and when it last was.
		first, last := map[string]time.Time{}, map[string]time.Time{}
		lastSigned := map[string]time.Time{}
		for minute := range 200 * 24 * 60 {
			now := keysNoon.Add(time.Duration(minute) * time.Minute)
			w.apply(p.Rotation(w.keys, kinds, now), nil)
			for _, k := range w.keys.Published(now) {
				if _, ok := first[k.ID]; !ok {
					first[k.ID] = now
				}
				if seen, ok := last[k.ID]; ok && now.Sub(seen) > time.Minute {
					t.Fatalf("%s was not published between %v and %v", k.ID, seen, now)
				}
				last[k.ID] = now
			}
			for _, kind := range kinds {
				k, ok := w.keys.Signer(kind, now)
				if !ok {
					t.Fatalf("at %v nobody signs with %s", now, kind)
				}
				if known := now.Sub(first[k.ID]); !first[k.ID].Equal(keysNoon) && known < p.PublishBefore {
					t.Fatalf("%s signs at %v, and clients could know it for %v", k.ID, now, known)
				}
				lastSigned[k.ID] = now
			}
		}
		for id, signed := range lastSigned {
			if end := keysNoon.Add(200*day - time.Minute); last[id].Before(signed.Add(TokenLife)) && last[id].Before(end) {
				t.Errorf("%s signed at %v and was published only until %v", id, signed, last[id])
			}
		}
		if w.made != len(KeyKinds)+2 {
			t.Errorf("%d keys in 200 days, want two more than the first", w.made)
		}
	})

	t.Run("F17: a key is due a day before the last one has signed for 90 days", func(t *testing.T) {
		w := begun(t, p)
		due := keysNoon.Add(89 * day)
		if c := p.Rotation(w.keys, KeyKinds, due.Add(-time.Second)); !c.None() {
			t.Errorf("a second before it is due: %+v", c)
		}
		w.apply(p.Rotation(w.keys, KeyKinds, due), nil)
		if c := p.Rotation(w.keys, KeyKinds, due); !c.None() {
			t.Errorf("asked again: %+v", c)
		}
		old := w.signer(due)
		change := keysNoon.Add(90 * day)
		for at, want := range map[time.Duration]KeyState{-time.Second: KeyCurrent, 0: KeyRetired, 25*time.Hour - time.Second: KeyRetired, 25 * time.Hour: KeyGone} {
			if got := w.state(old, change.Add(at)); got != want {
				t.Errorf("%v after the change the old key is %s, want %s", at, got, want)
			}
		}
	})

	t.Run("F17: servers that slept through the change publish for a day first", func(t *testing.T) {
		w := begun(t, p)
		late := keysNoon.Add(300 * day)
		old := w.signer(late)
		w.apply(p.Rotation(w.keys, KeyKinds, late), nil)
		if w.signer(late.Add(day-time.Second)) != old || w.signer(late.Add(day)) == old {
			t.Error("the new key does not begin after a day")
		}
	})

	t.Run("F18: keys that were lost are not replaced", func(t *testing.T) {
		none := NewKeys()
		if c := p.Rotation(none, KeyKinds, keysNoon); !c.None() {
			t.Errorf("Rotation() = %+v", c)
		}
		if c, err := p.Next(none, KeyKinds, keysNoon); !c.None() || err != nil {
			t.Errorf("Next() = %+v, %v", c, err)
		}
		// The row of the current key is gone, that of the one before is not.
		left := NewKeys(aKey("old", keysNoon.Add(-100*day), keysNoon.Add(-10*day), keysNoon.Add(-9*day)))
		if c := p.Rotation(left, []KeyKind{P256Key}, keysNoon); !c.None() {
			t.Errorf("Rotation() = %+v", c)
		}
		if c := p.First(left, []KeyKind{P256Key}, keysNoon); !c.None() {
			t.Errorf("First() = %+v", c)
		}
	})

	t.Run("own rule: a key that was made ahead of time pushes no other aside", func(t *testing.T) {
		w := begun(t, p)
		w.apply(p.Next(w.keys, KeyKinds, keysNoon))
		if _, err := p.Next(w.keys, KeyKinds, keysNoon.Add(day-time.Second)); !errors.Is(err, ErrNextKey) {
			t.Errorf("Next() = %v, want ErrNextKey", err)
		}
		w.apply(p.Next(w.keys, KeyKinds, keysNoon.Add(day)))
	})
}

func TestRevocation(t *testing.T) {
	p := DefaultKeyPolicy
	later := keysNoon.Add(100 * time.Hour)
	for _, tt := range []struct {
		rule   string
		revoke func(w *world) string // who is revoked
		made   int
		signs  func(now, revoked string) bool
	}{
		{"F17: the key that signs is replaced at once", func(w *world) string { return w.signer(later) }, 1,
			func(now, revoked string) bool { return now != revoked }},
		{"F17: while the next one waits, too", func(w *world) string {
			w.apply(p.Next(w.keys, KeyKinds, later))
			return w.signer(later)
		}, 1, func(now, revoked string) bool { return now != revoked }},
		{"F17: a next key needs no other, and the one that signs goes on", func(w *world) string {
			w.apply(p.Next(w.keys, []KeyKind{P256Key}, later))
			return w.keys.All()[3].ID
		}, 0, func(now, revoked string) bool { return now == "P-256-2" }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := begun(t, p)
			id := tt.revoke(w)
			before := w.made
			w.apply(p.Revocation(w.keys, []string{id}, later))
			if got := w.state(id, later); got != KeyRevoked {
				t.Errorf("it is %s", got)
			}
			if w.made-before != tt.made {
				t.Errorf("%d keys were made, want %d", w.made-before, tt.made)
			}
			// And from then on, past the next rotations, a key signs that was
			// not revoked.
			for hour := range 200 * 24 {
				now := later.Add(time.Duration(hour) * time.Hour)
				k, ok := w.keys.Signer(P256Key, now)
				if !ok || k.ID == id || k.State(now) != KeyCurrent {
					t.Fatalf("%d hours later %q signs, which is %s", hour, k.ID, k.State(now))
				}
				if hour == 0 && !tt.signs(k.ID, id) {
					t.Errorf("%q signs", k.ID)
				}
				w.apply(p.Rotation(w.keys, KeyKinds, now), nil)
			}
		})
	}

	t.Run("F17: a host whose clock is behind replaces what it revokes", func(t *testing.T) {
		w := begun(t, p)
		revoked := w.signer(keysNoon)
		w.apply(p.Revocation(w.keys, []string{revoked}, keysNoon.Add(-3*time.Second)))
		if id := w.signer(keysNoon); id == "" || id == revoked {
			t.Errorf("%q signs", id)
		}
		// A retired or foreign key that is put away there costs nothing.
		w = begun(t, p)
		w.keys = NewKeys(append(w.keys.All(), aKey("old", keysNoon.Add(-time.Hour), keysNoon.Add(-time.Minute), keysNoon.Add(time.Hour)))...)
		if c, err := p.Revocation(w.keys, []string{"old"}, keysNoon.Add(-3*time.Second)); err != nil || len(c.New) != 0 {
			t.Errorf("Revocation() = %+v, %v", c, err)
		}
	})

	t.Run("own rule: whoever asks for keys gets one where all were revoked", func(t *testing.T) {
		for name, ask := range map[string]func(ks *Keys, id string) (KeyChanges, error){
			"rotate": func(ks *Keys, _ string) (KeyChanges, error) { return p.Next(ks, KeyKinds, later) },
			"revoke": func(ks *Keys, id string) (KeyChanges, error) { return p.Revocation(ks, []string{id}, later) },
		} {
			w := begun(t, p)
			w.apply(p.Next(w.keys, []KeyKind{RSAKey}, later)) // which waits
			id := w.signer(later)
			all := w.keys.All()
			for i := range all {
				if all[i].Kind == P256Key {
					all[i].RevokedAt = later
				}
			}
			w.keys = NewKeys(all...)
			c, err := ask(w.keys, id)
			w.apply(c, err)
			if now := w.signer(later); len(c.New) != 1 || now == "" || now == id {
				t.Errorf("%s: %d keys are made, and %q signs", name, len(c.New), now)
			}
		}
	})

	t.Run("F17: what is past is not written anew", func(t *testing.T) {
		w := begun(t, p)
		first := w.signer(keysNoon)
		w.apply(p.Next(w.keys, KeyKinds, keysNoon))
		before, _ := w.keys.Key(first)
		w.apply(p.Revocation(w.keys, []string{w.signer(later)}, later))
		if after, _ := w.keys.Key(first); after.KeyTimes != before.KeyTimes {
			t.Errorf("a key that is gone had %+v, and now %+v", before.KeyTimes, after.KeyTimes)
		}
	})

	t.Run("own rule: nobody revokes a key that is not there, or one twice", func(t *testing.T) {
		w := begun(t, p)
		if _, err := p.Revocation(w.keys, []string{"nobody's"}, later); !errors.Is(err, ErrNotFound) {
			t.Errorf("Revocation() = %v, want ErrNotFound", err)
		}
		id := w.signer(later)
		w.apply(p.Revocation(w.keys, []string{id}, later))
		if c, err := p.Revocation(w.keys, []string{id}, later.Add(time.Hour)); err != nil || !c.None() {
			t.Errorf("revoked again: %+v, %v", c, err)
		}
	})

	t.Run("own rule: a row that does not open can be put away", func(t *testing.T) {
		w := begun(t, p)
		w.keys = NewKeys(append(w.keys.All(), SigningKey{ID: "strange", KeyTimes: KeyTimes{SignsFrom: keysNoon}})...)
		c, err := p.Revocation(w.keys, []string{"strange"}, later)
		if err != nil || len(c.New) != 0 || len(c.Changed) != 1 {
			t.Errorf("Revocation() = %+v, %v", c, err)
		}
	})
}

func TestKeyPolicy(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		policy KeyPolicy
		ok     bool
	}{
		{"own rule: the default", DefaultKeyPolicy, true},
		{"own rule: published for no time before it signs", KeyPolicy{time.Hour, 0, 25 * time.Hour}, false},
		{"own rule: gone while tokens live", KeyPolicy{time.Hour, time.Minute, TokenLife}, false},
		{"own rule: gone a minute after the last token", KeyPolicy{time.Hour, time.Minute, TokenLife + time.Minute}, true},
		{"own rule: the next one made before this one signs", KeyPolicy{time.Hour, time.Hour, 25 * time.Hour}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if err := tt.policy.Check(); (err == nil) != tt.ok {
				t.Errorf("Check() = %v", err)
			}
		})
	}
	t.Run("own rule: caches keep keys for a minute, and never longer than keys are known ahead", func(t *testing.T) {
		if got := DefaultKeyPolicy.MaxAge(); got != time.Minute {
			t.Errorf("MaxAge() = %v", got)
		}
		if got := (KeyPolicy{PublishBefore: 2 * time.Second}).MaxAge(); got != 2*time.Second {
			t.Errorf("MaxAge() = %v", got)
		}
	})
}
