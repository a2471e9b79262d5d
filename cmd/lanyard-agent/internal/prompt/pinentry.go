package prompt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Pinentry asks by the pinentry program of the desktop, which speaks the Assuan
// protocol on its standard input and output. It has no list: of several cards
// it shows one after the other.
type Pinentry struct {
	Program string   // its path
	Env     []string // what it runs with: where the desktop is
	Now     func() time.Time
}

// maxLine is how long a line of Assuan may be.
const maxLine = 1000

// What pinentry answers for windows that were not agreed to, in the lower half
// of its errors: GPG_ERR_CANCELED, GPG_ERR_NOT_CONFIRMED and GPG_ERR_TIMEOUT.
const (
	codeCancelled = 99
	codeNo        = 114
	codeTimeout   = 62
)

// Ask implements Prompt. The program is ended with ctx.
func (p Pinentry) Ask(ctx context.Context, q Question) (passcode []byte, err error) {
	q = q.plain()
	err = p.run(ctx, func(d *dialog) error {
		if err := d.begin(q, p.Now()); err != nil {
			return err
		}
		if q.TriesLeft == lastTry {
			if err := d.confirm(aboutLast(q), In(q.Language).UseLastTry, In(q.Language).Cancel); err != nil {
				return err
			}
		}
		passcode, err = d.passcode(q)
		return err
	})
	if err != nil {
		clear(passcode)
		return nil, err
	}
	return passcode, nil
}

// Choose implements Prompt: each card has a window, with a button to the next.
// Who sees the last one and does not want it turns away.
func (p Pinentry) Choose(ctx context.Context, q Question, holders []string) (chosen int, err error) {
	q, holders = q.plain(), lines(holders, maxName)
	err = p.run(ctx, func(d *dialog) error {
		if err := d.begin(q, p.Now()); err != nil {
			return err
		}
		w := In(q.Language)
		for chosen = range holders {
			other := w.NextCard
			if chosen == len(holders)-1 {
				other = w.Cancel
			}
			about := append(asks(q), "", w.Several, "", fmt.Sprintf(w.CardOf, chosen+1, len(holders), fitting(holders[chosen], maxPart)))
			if err := d.confirm(strings.Join(about, "\n"), w.UseCard, other); !errors.Is(err, ErrCancelled) {
				return err
			}
		}
		return ErrCancelled
	})
	return chosen, err
}

// Tell implements Prompt.
func (p Pinentry) Tell(ctx context.Context, language, words string) error {
	return p.run(ctx, func(d *dialog) error {
		w := In(language)
		return d.say("SETTITLE "+escaped(w.Title), "SETOK "+escaped(w.Close), "SETDESC "+escaped(Text(words)), "MESSAGE")
	})
}

// run starts the program, has with it what the window says, and sees it end. It
// is gone when run returns, and does not outlive the agent either.
func (p Pinentry) run(ctx context.Context, with func(*dialog) error) error {
	cmd := exec.CommandContext(ctx, p.Program) //nolint:gosec // the path is of the machine's settings
	cmd.Env = p.Env
	defer tied(cmd)()
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	d := &dialog{in, newReader(out)}
	_, err := d.answered() // the greeting
	if err == nil {
		err = with(d)
	}
	_, _ = io.WriteString(in, "BYE\n") // it ends with its input anyway
	_ = in.Close()
	if ended := cmd.Wait(); ctx.Err() != nil {
		return ctx.Err()
	} else if err == nil && ended != nil {
		err = fmt.Errorf("window: %w", ended)
	}
	return err
}

// dialog is a conversation with pinentry.
type dialog struct {
	in  io.Writer
	out *bufio.Reader
}

// newReader reads no line that is longer than Assuan has them.
func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxLine) }

// begin says who asks, and until when.
func (d *dialog) begin(q Question, now time.Time) error {
	left := max(1, int(q.Until.Sub(now)/time.Second))
	return d.say("SETTITLE "+escaped(In(q.Language).Title), "SETTIMEOUT "+strconv.Itoa(left))
}

// confirm asks between two buttons. ErrCancelled is the second one.
func (d *dialog) confirm(about, yes, no string) error {
	return d.say("SETDESC "+escaped(about), "SETOK "+escaped(yes), "SETCANCEL "+escaped(no), "CONFIRM")
}

// passcode shows the question and returns what was typed.
func (d *dialog) passcode(q Question) ([]byte, error) {
	w := In(q.Language)
	if err := d.say("SETDESC "+escaped(about(q)), "SETPROMPT "+escaped(w.Passcode+":"), "SETOK "+escaped(w.OK), "SETCANCEL "+escaped(w.Cancel)); err != nil {
		return nil, err
	}
	if q.Wrong != "" {
		if err := d.say("SETERROR " + escaped(q.Wrong)); err != nil {
			return nil, err
		}
	}
	return d.ask("GETPIN")
}

// maxPart is how long a name may be in a line of Assuan, where a letter may
// take twelve bytes: what comes after it must not be cut off.
const maxPart = 130

// asks says who asks for what, and how a person knows that it is their page.
func asks(q Question) []string {
	w := In(q.Language)
	q.Service, q.Application = fitting(q.Service, maxPart), fitting(q.Application, maxPart)
	return []string{w.Asks(q), "", fmt.Sprintf(w.Number, q.Code), w.Stranger}
}

// about is the question in words.
func about(q Question) string {
	w := In(q.Language)
	lines := append(asks(q), "", fmt.Sprintf(w.Holder, fitting(q.Holder, maxPart)), fmt.Sprintf(w.TriesLeft, q.TriesLeft),
		fmt.Sprintf(w.Until, q.Until.Local().Format("15:04")))
	for _, notice := range q.Notices {
		lines = append(lines, "", notice)
	}
	return strings.Join(lines, "\n")
}

// aboutLast is what is said before the last try.
func aboutLast(q Question) string {
	w := In(q.Language)
	lines := append(asks(q), "", fmt.Sprintf(w.Holder, fitting(q.Holder, maxPart)), "", w.LastTry)
	if q.Wrong != "" {
		lines = append([]string{fitting(q.Wrong, 2*maxPart), ""}, lines...)
	}
	return strings.Join(lines, "\n")
}

// say gives commands that are answered without data.
func (d *dialog) say(commands ...string) error {
	for _, c := range commands {
		if _, err := d.ask(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *dialog) ask(command string) ([]byte, error) {
	if _, err := io.WriteString(d.in, command+"\n"); err != nil {
		return nil, fmt.Errorf("window: %w", err)
	}
	return d.answered()
}

// escaped writes text as an argument of Assuan, which has no line breaks and an
// end. Text that is too long is cut.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range fitting(text, maxLine-len("SETDESC \r\n")) {
		b.WriteString(escapedLetter(r))
	}
	return b.String()
}

func escapedLetter(r rune) string { return strings.ReplaceAll(url.PathEscape(string(r)), "%20", " ") }

// fitting is what of text has at most so many bytes when it is escaped.
func fitting(text string, most int) string {
	const more = "..."
	size, kept := 0, 0 // kept is what fits with the dots
	for at, r := range text {
		if size <= most-len(more) {
			kept = at
		}
		if size += len(escapedLetter(r)); size > most {
			return text[:kept] + more
		}
	}
	return text
}

// answered reads up to the answer of one command: data lines, then OK or ERR.
// The data is the caller's; what was read of it is wiped.
func (d *dialog) answered() (data []byte, err error) {
	for {
		line, long, err := d.out.ReadLine()
		if err != nil || long {
			return nil, errors.New("window: it ended without an answer")
		}
		switch word, rest, _ := bytes.Cut(line, []byte(" ")); string(word) {
		case "D":
			data = append(data, unescaped(rest)...)
			clear(line)
		case "OK":
			return data, nil
		case "ERR":
			return nil, refusal(string(rest))
		}
	}
}

// refusal says what an error of pinentry means.
func refusal(text string) error {
	number, _, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return errors.New("window: an error without a number")
	}
	switch n & 0xFFFF {
	case codeCancelled, codeNo:
		return ErrCancelled
	case codeTimeout:
		return context.DeadlineExceeded
	default:
		return fmt.Errorf("window: error %d", n)
	}
}

// unescaped reads data of Assuan in its own place: percent signs before two
// digits. No copy is made that nobody could wipe.
func unescaped(b []byte) []byte {
	to := 0
	for i := 0; i < len(b); i, to = i+1, to+1 {
		b[to] = b[i]
		if b[i] != '%' || i+2 >= len(b) {
			continue
		}
		high, ok1 := digit(b[i+1])
		low, ok2 := digit(b[i+2])
		if ok1 && ok2 {
			b[to] = high<<4 | low
			i += 2
		}
	}
	return b[:to]
}

func digit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
