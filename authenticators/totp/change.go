package totp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Changed is an authenticator with its new password, for the registry to keep.
type Changed struct {
	Authenticator authenticators.Authenticator

	// Use and Once are of the code that was shown, as in Evidence: the change
	// must raise the fence, or the same code signs in somewhere else.
	Use  authenticators.Use
	Once string
}

// ChangePassword gives the person another password if old and code are theirs.
// about is what the new one may not be made of, beside what all may not: see
// CheckPassword, whose refusals come before anything is counted.
func (r *Room) ChangePassword(ctx context.Context, subject, old, code, password string, about ...string) (Changed, error) {
	return r.change(ctx, subject, guess{password: &old, code: code, at: r.now()}, password, about)
}

// ResetPassword gives another password to a person who has forgotten theirs.
// The caller has proved the mailbox; the code must be right all the same:
// getting one factor back never skips the other.
func (r *Room) ResetPassword(ctx context.Context, subject, code, password string, about ...string) (Changed, error) {
	return r.change(ctx, subject, guess{code: code, at: r.now()}, password, about)
}

func (r *Room) change(ctx context.Context, subject string, g guess, password string, about []string) (Changed, error) {
	if err := CheckPassword(password, slices.Concat(about, []string{r.service})...); err != nil {
		return Changed{}, err
	}
	h, err := r.holding(ctx, subject)
	if err != nil {
		return Changed{}, err
	}

	done, err := r.hashes.turn(ctx)
	if err != nil {
		return Changed{}, err
	}
	defer done()
	step, err := r.judge(ctx, h, g)
	if err != nil {
		return Changed{}, err
	}
	if h.record.Hash, err = r.hashes.of(password); err != nil {
		return Changed{}, err
	}
	a := h.Authenticator
	if a.Record, err = json.Marshal(h.record); err != nil {
		return Changed{}, fmt.Errorf("write record: %w", err)
	}
	a.Mark = marked(step)
	return Changed{Authenticator: a, Use: authenticators.Use{ID: a.ID, Mark: a.Mark, Was: h.Mark}, Once: once(subject, step)}, nil
}
