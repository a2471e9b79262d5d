package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// tolerable is by how much the middle times of two kinds of tries may differ,
// and how small a difference a trial must be able to notice. A11.
const tolerable = 5 * time.Millisecond

// longer is the chance that a time of a is longer than one of b: 0.5 where
// nothing tells them apart, whatever the times are like. (Mann and Whitney.)
func longer(a, b []time.Duration) float64 {
	won := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				won++
			case x == y:
				won += 0.5
			}
		}
	}
	return won / float64(len(a)*len(b))
}

// luck is how far from 0.5 that chance may lie with nothing behind it: five
// standard deviations, which come once in two million trials.
func luck(a, b []time.Duration) float64 {
	n, m := float64(len(a)), float64(len(b))
	return 5 * math.Sqrt((n+m+1)/(12*n*m))
}

func apart(a, b []time.Duration) bool { return math.Abs(longer(a, b)-0.5) > luck(a, b) }

// noticed is the least slowness of all of b that would have told a and b apart.
func noticed(a, b []time.Duration) time.Duration {
	for slower := time.Duration(0); ; slower += 50 * time.Microsecond {
		planted := slices.Clone(b)
		for i := range planted {
			planted[i] += slower
		}
		if slower > 20*tolerable || apart(a, planted) {
			return slower
		}
	}
}

// sameTimes is an error if the times of two kinds of tries tell them apart, or
// if they would not have, had one been slower by what is tolerable: then the
// trial shows nothing. Otherwise it says what it saw.
func sameTimes(a, b []time.Duration) (string, error) {
	d := (median(a) - median(b)).Abs()
	saw := fmt.Sprintf("chance %.3f, luck reaches %.3f; the middle times are %.2f and %.2f ms; %.2f ms would be noticed",
		longer(a, b), luck(a, b), ms(median(a)), ms(median(b)), ms(noticed(a, b)))
	switch {
	case apart(a, b), d > tolerable:
		return saw, fmt.Errorf("their times tell them apart: %s", saw)
	case noticed(a, b) > tolerable:
		return saw, fmt.Errorf("their times differ so much among themselves that nothing is shown: %s", saw)
	}
	return saw, nil
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
