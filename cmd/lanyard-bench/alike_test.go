package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// someTimes are as those of a server are: most alike, some of them long.
func someTimes(r *rand.Rand, n int, slower time.Duration) []time.Duration {
	var all []time.Duration
	for range n {
		all = append(all, slower+time.Duration(float64(4*time.Millisecond)*math.Exp(r.NormFloat64()/3)))
	}
	return all
}

func TestSameTimes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	t.Run("own rule: luck tells no two kinds of tries apart", func(t *testing.T) {
		for n := range 300 {
			if saw, err := sameTimes(someTimes(r, 400, 0), someTimes(r, 400, 0)); err != nil {
				t.Fatalf("trial %d: %v, %s", n, err, saw)
			}
		}
	})
	t.Run("own rule: a planted difference does, whichever is slower", func(t *testing.T) {
		for n := range 100 {
			if saw, err := sameTimes(someTimes(r, 400, 0), someTimes(r, 400, 2*time.Millisecond)); err == nil {
				t.Fatalf("trial %d: %s", n, saw)
			}
			if saw, err := sameTimes(someTimes(r, 400, 2*time.Millisecond), someTimes(r, 400, 0)); err == nil {
				t.Fatalf("trial %d: %s", n, saw)
			}
		}
	})
	t.Run("own rule: times that would hide what is not tolerable show nothing", func(t *testing.T) {
		wild := func() []time.Duration {
			all := someTimes(r, 400, 0)
			for i := range all {
				all[i] *= 50
			}
			return all
		}
		if saw, err := sameTimes(wild(), wild()); err == nil {
			t.Errorf("they pass: %s", saw)
		}
		if saw, err := sameTimes(someTimes(r, 6, 0), someTimes(r, 6, 0)); err == nil {
			t.Errorf("so do six: %s", saw)
		}
	})
}
