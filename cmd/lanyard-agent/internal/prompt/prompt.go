// Package prompt asks a person for their passcode in a window of its own. It is
// never a web page, and what was typed goes to the card and nowhere else.
package prompt

import (
	"context"
	"errors"
	"time"
)

// Question is what the person is told before they type.
type Question struct {
	Service     string // who asks: the host of the sign-in page
	Application string // what they sign in to
	Code        string // the number that the sign-in page shows too
	Holder      string // whose card it is
	TriesLeft   int
	Wrong       bool      // the last passcode was wrong
	Until       time.Time // when the sign-in ends
}

// Prompt asks for a passcode.
type Prompt interface {
	// Ask returns what the person typed. ErrCancelled if they turned away, and
	// ctx's error if there was no time left.
	Ask(ctx context.Context, q Question) (string, error)
}

// ErrCancelled says that the person does not want to go on.
var ErrCancelled = errors.New("the person turned away")
