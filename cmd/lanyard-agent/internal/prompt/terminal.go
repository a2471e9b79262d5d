package prompt

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// Terminal asks at the terminal that the agent was started from, one question
// at a time. It is for a developer's card in software.
type Terminal struct {
	in  *os.File
	out io.Writer

	typed   chan line
	pending bool        // a line is being read, for a question that is over
	quiet   *term.State // how the terminal hides what is typed there
}

// line is what was typed, or why it could not be read.
type line struct {
	text []byte
	err  error
}

// NewTerminal returns the terminal of in and out.
func NewTerminal(in *os.File, out io.Writer) *Terminal {
	return &Terminal{in: in, out: out, typed: make(chan line, 1)}
}

// Ask implements Prompt. What is typed is not shown.
func (t *Terminal) Ask(ctx context.Context, q Question) ([]byte, error) {
	q = q.plain()
	w := In(q.Language)
	for _, said := range append([]string{q.Wrong}, q.Notices...) {
		t.print(said)
	}
	t.print(w.Asks(q))
	t.print(fmt.Sprintf(w.Number, q.Code))
	if q.TriesLeft == lastTry {
		t.print(w.LastTry)
		if _, err := t.pick(ctx, w, []string{w.UseLastTry}); err != nil {
			return nil, err
		}
	}
	_, _ = fmt.Fprintf(t.out, "%s (%s; %s): ", w.Passcode, fmt.Sprintf(w.Holder, q.Holder), w.Empty)
	return t.read(ctx)
}

// Choose implements Prompt.
func (t *Terminal) Choose(ctx context.Context, q Question, holders []string) (int, error) {
	w := In(q.Language)
	t.print(w.Asks(q.plain()))
	t.print(w.Several)
	return t.pick(ctx, w, lines(holders, maxName))
}

// pick asks for the number of one of several lines.
func (t *Terminal) pick(ctx context.Context, w Words, lines []string) (int, error) {
	for i, l := range lines {
		t.print(fmt.Sprintf("%d. %s", i+1, l))
	}
	for {
		_, _ = fmt.Fprintf(t.out, "%s (%s): ", w.Pick, w.Empty)
		typed, err := t.read(ctx)
		if err != nil {
			return 0, err
		}
		i, err := strconv.Atoi(string(typed))
		clear(typed)
		if err == nil && i >= 1 && i <= len(lines) {
			return i - 1, nil
		}
	}
}

// Tell implements Prompt.
func (t *Terminal) Tell(_ context.Context, _, words string) error {
	t.print(Text(words))
	return nil
}

func (t *Terminal) print(words string) {
	if words != "" {
		_, _ = fmt.Fprintln(t.out, words)
	}
}

// read returns the next line that is typed. Nothing ends the reading of a line,
// so a question that is over leaves it to the next one.
func (t *Terminal) read(ctx context.Context) ([]byte, error) {
	fd := int(t.in.Fd())
	shown, _ := term.GetState(fd) // nil where it is no terminal
	t.listen(fd)
	select {
	case l := <-t.typed:
		t.pending = false
		_, _ = fmt.Fprintln(t.out)
		if l.err != nil || len(l.text) == 0 {
			return nil, ErrCancelled
		}
		return l.text, nil
	case <-ctx.Done():
		t.quiet, _ = term.GetState(fd)
		if shown != nil {
			_ = term.Restore(fd, shown) // what is typed next is not ours to hide
		}
		return nil, ctx.Err()
	}
}

// listen has one line read. What was typed while nobody asked is forgotten.
func (t *Terminal) listen(fd int) {
	if t.pending {
		select {
		case l := <-t.typed:
			clear(l.text)
		default:
			if t.quiet != nil {
				_ = term.Restore(fd, t.quiet)
			}
			return
		}
	}
	t.pending = true
	go func() {
		text, err := term.ReadPassword(fd)
		t.typed <- line{text, err}
	}()
}
