package dev

import (
	"errors"
	"sync/atomic"
	"time"
)

// Clock is the clock of a development service. Tests move it on to see what
// time does; it never goes back.
type Clock struct {
	now   func() time.Time
	ahead atomic.Int64 // nanoseconds
}

// NewClock returns a clock that runs with now.
func NewClock(now func() time.Time) *Clock { return &Clock{now: now} }

// Now returns the time that the service believes.
func (c *Clock) Now() time.Time { return c.now().Add(time.Duration(c.ahead.Load())) }

// errAdvance refuses to move the clock back, or out of sight.
var errAdvance = errors.New("advance must be a duration from 1ms to 87600h, such as 15m")

// Advance moves the clock on by d and returns the new time.
func (c *Clock) Advance(d time.Duration) (time.Time, error) {
	const years = 10 * 365 * 24 * time.Hour
	for {
		ahead := c.ahead.Load()
		if d < time.Millisecond || d > years || time.Duration(ahead) > years {
			return time.Time{}, errAdvance
		}
		if c.ahead.CompareAndSwap(ahead, ahead+int64(d)) {
			return c.Now(), nil
		}
	}
}
