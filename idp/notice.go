package idp

import (
	"context"
	"fmt"
	"time"
)

// Notices remembers when a person was last told that what they sign in with
// will end.
type Notices interface {
	// WarnDays are how many days before an end people are told, in any order.
	WarnDays(ctx context.Context) ([]int, error)

	// LastNotice returns when the person was last told; zero is never.
	LastNotice(ctx context.Context, uid string) (time.Time, error)
	SaveNotice(ctx context.Context, uid string, at time.Time) error
}

// NoticeDue says whether somebody whose authenticator ends at ends is told now:
// once for each of the days in warn, however often they sign in.
func NoticeDue(ends, last, now time.Time, warn []int) bool {
	if ends.IsZero() {
		return false
	}
	for _, days := range warn {
		from := ends.AddDate(0, 0, -days)
		if !now.Before(from) && last.Before(from) {
			return true
		}
	}
	return false
}

// DaysLeft is how many days are left until ends, begun ones counted.
func DaysLeft(ends, now time.Time) int {
	const day = 24 * time.Hour
	return int((ends.Sub(now) + day - 1) / day)
}

// noticeDue says whether the person of v is told now. Only a sign-in of this
// login tells: it knows what was signed in with.
func (ls *Logins) noticeDue(ctx context.Context, v *View) (bool, error) {
	if v.Session.Login != v.Login.ID || v.Session.Ends.IsZero() || v.Login.Told {
		return false, nil
	}
	warn, err := ls.Notices.WarnDays(ctx)
	if err != nil {
		return false, fmt.Errorf("days to warn: %w", err)
	}
	last, err := ls.Notices.LastNotice(ctx, v.Person.UID)
	if err != nil {
		return false, fmt.Errorf("last notice: %w", err)
	}
	return NoticeDue(v.Session.Ends, last, ls.Now(), warn), nil
}

// Tell remembers that the person of v has read the notice, and returns where
// the login stands then.
func (ls *Logins) Tell(ctx context.Context, v View) (View, error) {
	if v.Step != ReadNotice {
		return v, nil
	}
	if err := ls.Notices.SaveNotice(ctx, v.Person.UID, ls.Now()); err != nil {
		return v, fmt.Errorf("save notice: %w", err)
	}
	v.Login.Told, v.Tell = true, false
	if err := ls.Store.UpdateLogin(ctx, v.Login); err != nil {
		return v, err
	}
	v.Step, v.Err = Next(v, ls.Now())
	return v, nil
}
