package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// devKeys are the signing keys of a development service. They change when a
// test says so and at no other time.
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

// rotate publishes a new key of every kind, which signs after in: in production
// that is a day. The old ones stay published as long as there. It returns the
// names of the new ones.
func (d *devKeys) rotate(in time.Duration) ([]string, error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	policy := idp.DefaultKeyPolicy
	policy.PublishBefore = in
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
