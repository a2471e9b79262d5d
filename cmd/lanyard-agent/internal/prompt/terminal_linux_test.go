package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// aTerminal returns the two ends of a terminal: the person's, and the program's.
func aTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminal: ", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	number, unlocked := uint32(0), int32(0)
	_, _, err1 := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlocked)))
	_, _, err2 := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), syscall.TIOCGPTN, uintptr(unsafe.Pointer(&number)))
	if err1 != 0 || err2 != 0 {
		t.Fatal(err1, err2)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminal: ", err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// says is what the terminal has shown so far.
type says struct {
	io.Writer
	shown chan string
}

func (s says) Write(b []byte) (int, error) {
	s.shown <- string(b)
	return len(b), nil
}

func (s says) until(t *testing.T, want string) {
	t.Helper()
	for {
		select {
		case got := <-s.shown:
			if strings.Contains(got, want) {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("it does not say %q", want)
		}
	}
}

func TestTerminal(t *testing.T) {
	person, program := aTerminal(t)
	out := says{shown: make(chan string, 100)}
	term := NewTerminal(program, out)
	typed := func(line string) {
		if _, err := io.WriteString(person, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	type answer struct {
		text string
		err  error
	}
	ask := func(ctx context.Context, q Question) chan answer {
		got := make(chan answer, 1)
		go func() {
			text, err := term.Ask(ctx, q)
			got <- answer{string(text), err}
		}()
		return got
	}
	t.Run("own rule: the terminal asks in the person's language, and an empty line turns away", func(t *testing.T) {
		q := aQuestion()
		q.Language = "cy"
		got := ask(t.Context(), q)
		out.until(t, "Cod pas")
		typed("123456")
		if a := <-got; a.err != nil || a.text != "123456" {
			t.Errorf("Ask() = %+v", a)
		}
		got = ask(t.Context(), aQuestion())
		out.until(t, "Passcode")
		typed("")
		if a := <-got; !errors.Is(a.err, ErrCancelled) {
			t.Errorf("Ask() = %+v", a)
		}
	})
	t.Run("own rule: a question that is over swallows no line of the next one", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		got := ask(ctx, aQuestion())
		out.until(t, "Passcode")
		end()
		if a := <-got; !errors.Is(a.err, context.Canceled) {
			t.Errorf("Ask() = %+v", a)
		}
		got = ask(t.Context(), aQuestion())
		out.until(t, "Passcode")
		typed("654321")
		select {
		case a := <-got:
			if a.err != nil || a.text != "654321" {
				t.Errorf("Ask() = %+v", a)
			}
		case <-time.After(10 * time.Second):
			t.Error("the line went elsewhere")
		}
	})
	t.Run("own rule: the last try is asked for by itself", func(t *testing.T) {
		q := aQuestion()
		q.TriesLeft = 1
		got := ask(t.Context(), q)
		out.until(t, "Number (")
		typed("1")
		out.until(t, "Passcode")
		typed("123456")
		if a := <-got; a.err != nil || a.text != "123456" {
			t.Errorf("Ask() = %+v", a)
		}
	})
	t.Run("own rule: of several cards one is chosen by its number", func(t *testing.T) {
		got := make(chan int, 1)
		go func() {
			i, err := term.Choose(t.Context(), aQuestion(), []string{"Asha", "Ben"})
			if err != nil {
				t.Error(err)
			}
			got <- i
		}()
		out.until(t, "Number (")
		typed("3")
		out.until(t, "Number (")
		typed("2")
		if i := <-got; i != 1 {
			t.Errorf("Choose() = %d", i)
		}
	})
}
