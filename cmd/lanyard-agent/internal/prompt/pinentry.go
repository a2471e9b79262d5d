package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
)

// Pinentry asks by the pinentry program of the desktop, which speaks the Assuan
// protocol on its standard input and output.
type Pinentry struct {
	Program string   // its path
	Env     []string // what it runs with: where the desktop is
}

// maxLine is how long a line of Assuan may be.
const maxLine = 1000

// codeCancelled is GPG_ERR_CANCELED, in the lower half of what pinentry answers.
const codeCancelled = 99

// Ask implements Prompt. The program is ended with ctx.
func (p Pinentry) Ask(ctx context.Context, q Question) (string, error) {
	cmd := exec.CommandContext(ctx, p.Program) //nolint:gosec // the path is of the machine's settings
	cmd.Env = p.Env
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return "", fmt.Errorf("passcode window: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("passcode window: %w", err)
	}
	passcode, err := converse(in, bufio.NewReaderSize(out, maxLine), q)
	_ = in.Close()
	if ended := cmd.Wait(); ctx.Err() != nil {
		return "", ctx.Err()
	} else if err == nil && ended != nil {
		err = fmt.Errorf("passcode window: %w", ended)
	}
	return passcode, err
}

// converse puts the question and reads the answer.
func converse(in io.Writer, out *bufio.Reader, q Question) (string, error) {
	if _, err := answered(out); err != nil { // the greeting
		return "", err
	}
	for _, line := range lines(q) {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			return "", fmt.Errorf("passcode window: %w", err)
		}
		if _, err := answered(out); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(in, "GETPIN\n"); err != nil {
		return "", fmt.Errorf("passcode window: %w", err)
	}
	passcode, err := answered(out)
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(in, "BYE\n")
	return passcode, err
}

// lines is the question in Assuan.
func lines(q Question) []string {
	about := fmt.Sprintf("%s\nSign in to %s\n\nCheck that the sign-in page shows this number: %s\nCard of %s", q.Service, q.Application, q.Code, q.Holder)
	all := []string{"SETTITLE Lanyard", "SETPROMPT Passcode:", "SETDESC " + escaped(about), "SETTIMEOUT " + strconv.Itoa(300)}
	if q.Wrong {
		all = append(all, "SETERROR "+escaped(fmt.Sprintf("That passcode is not right. Tries left: %d", q.TriesLeft)))
	}
	return all
}

// escaped writes text as an argument of Assuan, which has no line breaks.
func escaped(text string) string {
	return strings.ReplaceAll(url.PathEscape(text), "%20", " ")
}

// answered reads up to the answer of one command: data lines, then OK or ERR.
func answered(out *bufio.Reader) (data string, err error) {
	for {
		line, long, err := out.ReadLine()
		if err != nil || long {
			return "", errors.New("passcode window: it ended without an answer")
		}
		switch word, rest, _ := strings.Cut(string(line), " "); word {
		case "D":
			if data, err = url.PathUnescape(rest); err != nil {
				return "", errors.New("passcode window: it answered what cannot be read")
			}
		case "OK":
			return data, nil
		case "ERR":
			number, _, _ := strings.Cut(rest, " ")
			if n, err := strconv.Atoi(number); err == nil && n&0xFFFF == codeCancelled {
				return "", ErrCancelled
			}
			return "", fmt.Errorf("passcode window: error %s", number)
		}
	}
}
