package idp

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// KeyPolicy says how long keys sign, and how long they are known before and
// after.
type KeyPolicy struct {
	RotateEvery   time.Duration
	PublishBefore time.Duration // the longest that a client may keep the keys, whatever we tell it
	KeepAfter     time.Duration // the longest life of a token, and some
}

// DefaultKeyPolicy holds where nothing else is said: 90 days; a day, because
// clients are seen to keep keys for that long; and a day and the hour for which
// a token lives.
var DefaultKeyPolicy = KeyPolicy{RotateEvery: 90 * 24 * time.Hour, PublishBefore: 24 * time.Hour, KeepAfter: 25 * time.Hour}

// Check says what is wrong with the policy.
func (p KeyPolicy) Check() error {
	switch {
	case p.PublishBefore < time.Second:
		return fmt.Errorf("publish_before is %v: it must be a second or more", p.PublishBefore)
	case p.KeepAfter < TokenLife+p.MaxAge():
		return fmt.Errorf("keep_after is %v: it must be %v or more, for a token lives for %v", p.KeepAfter, TokenLife+p.MaxAge(), TokenLife)
	case p.RotateEvery < 2*p.PublishBefore:
		return fmt.Errorf("rotate_every is %v: it must be twice publish_before or more", p.RotateEvery)
	}
	return nil
}

// MaxAge is how long clients are told to keep the published keys. It is short,
// so that a revoked key is gone within a minute from every cache that keeps to
// it; no longer is needed, for new keys are published long before they sign.
func (p KeyPolicy) MaxAge() time.Duration { return min(time.Minute, p.PublishBefore) }

// KeyChanges are what has to be written so that a decision about keys holds:
// keys to be made, which have their kind and times and nothing else yet, and
// keys whose times are others now.
type KeyChanges struct {
	New     []SigningKey
	Changed []SigningKey
}

// None says whether there is nothing to do.
func (c KeyChanges) None() bool { return len(c.New) == 0 && len(c.Changed) == 0 }

// ErrNextKey is a key that waits already: another would push it aside.
var ErrNextKey = errors.New("the next keys wait already")

// First makes the keys of kinds of which there never was one. Nothing else
// does: a provider whose keys were lost must say so and not go on with others.
func (p KeyPolicy) First(ks *Keys, kinds []KeyKind, now time.Time) KeyChanges {
	var made []SigningKey
	for _, kind := range kinds {
		if !slices.ContainsFunc(ks.all, func(k SigningKey) bool { return k.Kind == kind }) {
			made = append(made, newKey(kind, now, now))
		}
	}
	return p.settle(ks.all, made, now)
}

// Rotation makes the next key of each kind when the time has come to publish
// it.
func (p KeyPolicy) Rotation(ks *Keys, kinds []KeyKind, now time.Time) KeyChanges {
	var made []SigningKey
	for _, kind := range kinds {
		last, ok := ks.last(kind)
		if _, signs := ks.Signer(kind, now); !ok || !signs {
			continue // its key was lost, and another is no cure
		}
		if due := last.SignsFrom.Add(p.RotateEvery - p.PublishBefore); now.Before(due) {
			continue
		}
		made = append(made, newKey(kind, now, now.Add(p.PublishBefore)))
	}
	return p.settle(ks.all, made, now)
}

// Next makes the next key of each kind ahead of time. They sign once clients
// have had the time to learn of them. Where nobody signs because keys were
// revoked, it makes only those that are missing, and they sign at once.
func (p KeyPolicy) Next(ks *Keys, kinds []KeyKind, now time.Time) (KeyChanges, error) {
	var made []SigningKey
	for _, kind := range kinds {
		if ks.bereft(kind, now) {
			made = append(made, newKey(kind, now, now))
		}
	}
	if len(made) > 0 {
		return p.settle(ks.all, made, now), nil
	}
	for _, kind := range kinds {
		last, ok := ks.last(kind)
		if _, signs := ks.Signer(kind, now); !ok || !signs {
			continue
		}
		if last.State(now) == KeyNext {
			return KeyChanges{}, fmt.Errorf("%w: %s signs from %s", ErrNextKey, last.ID, last.SignsFrom.UTC().Format(time.RFC3339))
		}
		made = append(made, newKey(kind, now, now.Add(p.PublishBefore)))
	}
	return p.settle(ks.all, made, now), nil
}

// Revocation revokes keys at once. A kind that nobody would sign with then gets
// a new key, which signs at once: clients that do not know it ask again.
func (p KeyPolicy) Revocation(ks *Keys, ids []string, now time.Time) (KeyChanges, error) {
	after := ks.All()
	for _, id := range ids {
		i := slices.IndexFunc(after, func(k SigningKey) bool { return k.ID == id })
		if i < 0 {
			return KeyChanges{}, fmt.Errorf("key %q: %w", id, ErrNotFound)
		}
		if after[i].RevokedAt.IsZero() {
			after[i].RevokedAt = now
		}
	}
	var made []SigningKey
	for _, kind := range KeyKinds {
		// Who signs now may be one that only begins to, by our clock.
		signs, ok := ks.Signer(kind, now)
		lost := ok && slices.ContainsFunc(after, func(k SigningKey) bool { return k.ID == signs.ID && !k.RevokedAt.IsZero() })
		another := slices.ContainsFunc(after, func(k SigningKey) bool { return k.Kind == kind && k.State(now) == KeyCurrent })
		if lost && !another || NewKeys(after...).bereft(kind, now) {
			made = append(made, newKey(kind, now, now))
		}
	}
	changes := p.settle(after, made, now)
	for _, k := range after {
		if before, _ := ks.Key(k.ID); before.RevokedAt.IsZero() && !k.RevokedAt.IsZero() {
			changes.Changed = append(changes.Changed, k)
		}
	}
	return changes, nil
}

// last returns the key of a kind that began or will begin to sign last.
func (ks *Keys) last(kind KeyKind) (SigningKey, bool) {
	for _, k := range slices.Backward(ks.all) {
		if k.Kind == kind && k.RevokedAt.IsZero() {
			return k, true
		}
	}
	return SigningKey{}, false
}

// bereft says whether nobody signs with a kind because its last key was revoked.
// A key that was lost is no such case: it is not known whether it still signs
// elsewhere.
func (ks *Keys) bereft(kind KeyKind, now time.Time) bool {
	if _, ok := ks.Signer(kind, now); ok {
		return false
	}
	for _, k := range slices.Backward(ks.all) {
		if k.Kind == kind {
			return !k.RevokedAt.IsZero()
		}
	}
	return false
}

func newKey(kind KeyKind, published, signs time.Time) SigningKey {
	return SigningKey{Kind: kind, KeyTimes: KeyTimes{PublishedFrom: published, SignsFrom: signs}}
}

// settle ends each key where the one after it begins. A key that has ended
// already stays as it is, and so does one of no kind, which does not open.
func (p KeyPolicy) settle(all, made []SigningKey, now time.Time) KeyChanges {
	changes := KeyChanges{}
	together := NewKeys(append(slices.Clone(all), made...)...).all
	for i, k := range together {
		if k.Kind != "" && k.RevokedAt.IsZero() && !past(k.SignsUntil, now) {
			before := k.KeyTimes
			k.SignsUntil, k.PublishedUntil = time.Time{}, time.Time{}
			after := slices.IndexFunc(together[i+1:], func(n SigningKey) bool { return n.Kind == k.Kind && n.RevokedAt.IsZero() })
			if after >= 0 {
				k.SignsUntil = together[i+1+after].SignsFrom
				k.PublishedUntil = k.SignsUntil.Add(p.KeepAfter)
			}
			if k.ID != "" && !sameTimes(before, k.KeyTimes) {
				changes.Changed = append(changes.Changed, k)
			}
		}
		if k.ID == "" {
			changes.New = append(changes.New, k)
		}
	}
	return changes
}

func sameTimes(a, b KeyTimes) bool {
	return a.SignsUntil.Equal(b.SignsUntil) && a.PublishedUntil.Equal(b.PublishedUntil)
}
