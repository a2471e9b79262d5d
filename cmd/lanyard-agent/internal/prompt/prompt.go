// Package prompt speaks with the person at the desk, in windows of its own: it
// asks for their passcode, which of several cards they mean, and shows words. It
// is never a web page, and what was typed goes to the card and nowhere else.
//
// What is said of a sign-in comes from the service, in the person's language.
// The labels around it, and what the agent alone can know, are in words.go.
package prompt

import (
	"context"
	"errors"
	"time"
)

// Question is what the person is told before they type.
type Question struct {
	Language    string // "en" or "cy"
	Service     string // who asks: the host of the sign-in page
	Application string // what they sign in to
	Code        string // the number that the sign-in page shows too
	Holder      string // whose card it is
	TriesLeft   int
	Wrong       string    // what is said of the last passcode; empty: none was tried
	Notices     []string  // what ends soon, in words
	Until       time.Time // when the sign-in ends
}

// Prompt speaks with the person at the desk.
type Prompt interface {
	// Ask returns what the person typed, which the caller wipes. With one try
	// left it first asks whether they want to use that one: a card that locks
	// costs its holder a morning. ErrCancelled if they turned away, ctx's error
	// if there was no time left.
	Ask(ctx context.Context, q Question) ([]byte, error)

	// Choose returns the place in holders of the card that is meant. Errors as
	// those of Ask.
	Choose(ctx context.Context, q Question, holders []string) (int, error)

	// Tell shows words until ctx is done or the person has read them. It returns
	// at once where words just scroll by.
	Tell(ctx context.Context, language, words string) error
}

// ErrCancelled says that the person does not want to go on.
var ErrCancelled = errors.New("the person turned away")

// lastTry is how many tries are left when a wrong passcode locks the card.
const lastTry = 1
