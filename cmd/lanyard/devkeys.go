package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// devKeys are the signing keys of a development service. They change when a
// test says so and at no other time, and sign at once: an application that gets
// on with that gets on with production, where they are published a day before.
type devKeys struct {
	now  func() time.Time
	turn sync.Mutex // is held while keys change
	held atomic.Pointer[idp.Keys]
}

func newDevKeys(now func() time.Time) (*devKeys, error) {
	first, err := idp.GenerateKeys()
	if err != nil {
		return nil, err
	}
	d := &devKeys{now: now}
	d.held.Store(first)
	return d, nil
}

func (d *devKeys) keys() *idp.Keys { return d.held.Load() }

// rotate lets a new key of every kind sign, and keeps the old ones published as
// long as production does. It returns the names of the new ones.
func (d *devKeys) rotate() ([]string, error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	policy := idp.DefaultKeyPolicy
	policy.PublishBefore = 0
	before := d.keys()
	changes, err := policy.Next(before, idp.KeyKinds, d.now())
	if err != nil {
		return nil, err
	}
	all := before.All()
	for _, changed := range changes.Changed {
		at := slices.IndexFunc(all, func(k idp.SigningKey) bool { return k.ID == changed.ID })
		all[at] = changed
	}
	var names []string
	for _, k := range changes.New {
		if k.Signer, err = k.Kind.Generate(); err != nil {
			return nil, err
		}
		k.ID, k.Public = idp.NewKeyID(), k.Signer.Public()
		all, names = append(all, k), append(names, k.ID)
	}
	d.held.Store(idp.NewKeys(all...))
	return names, nil
}
