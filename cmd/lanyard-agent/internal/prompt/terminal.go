package prompt

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Terminal asks at the terminal that the agent was started from. It is for a
// developer's card in software.
type Terminal struct {
	In  *os.File
	Out io.Writer
}

// Ask implements Prompt. What is typed is not shown.
func (t Terminal) Ask(ctx context.Context, q Question) (string, error) {
	if q.Wrong {
		_, _ = fmt.Fprintf(t.Out, "That passcode is not right. Tries left: %d\n", q.TriesLeft)
	}
	_, _ = fmt.Fprintf(t.Out, "%s asks you to sign in to %s.\nThe page shows the number %s. If it shows another, stop.\nPasscode of %s (empty to stop): ",
		q.Service, q.Application, q.Code, q.Holder)
	typed := make(chan answer, 1)
	go func() {
		b, err := term.ReadPassword(int(t.In.Fd()))
		typed <- answer{string(b), err}
	}()
	select {
	case a := <-typed:
		_, _ = fmt.Fprintln(t.Out)
		if a.err != nil || a.passcode == "" {
			return "", ErrCancelled
		}
		return a.passcode, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

type answer struct {
	passcode string
	err      error
}
