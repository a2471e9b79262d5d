//go:build unix

package prompt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func aQuestion() Question {
	return Question{Language: "en", Service: "id.example", Application: "Records & Co", Code: "4711", Holder: "Dr Asha Smith", TriesLeft: 3, Until: noon.Add(90 * time.Second)}
}

// program makes a pinentry of a few lines of shell: answers says what it does
// with a command, as the branches of a case. It returns what it was told.
func program(t *testing.T, answers string) (p Pinentry, told func() []string) {
	t.Helper()
	folder := t.TempDir()
	path, log := filepath.Join(folder, "pinentry"), filepath.Join(folder, "log")
	script := fmt.Sprintf(`#!/bin/sh
echo "OK ready"
while read -r line; do
  printf '%%s\n' "$line" >>%s
  case "$line" in
  BYE) exit 0 ;;
  %s
  *) echo OK ;;
  esac
done
`, log, answers)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	told = func() []string {
		b, _ := os.ReadFile(log)
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
	return Pinentry{Program: path, Env: os.Environ(), Now: func() time.Time { return noon }}, told
}

func TestPinentryAsk(t *testing.T) {
	t.Run("own rule: the window says who asks, what for, the number, whose card, until when and what ends soon", func(t *testing.T) {
		p, told := program(t, `GETPIN) echo "D 12%253%0a"; echo OK ;;`)
		q := aQuestion()
		q.Wrong, q.Notices = "That passcode is not right.", []string{"Your card's certificate ends in 12 days."}
		got, err := p.Ask(t.Context(), q)
		if err != nil || string(got) != "12%3\n" {
			t.Errorf("Ask() = %q, %v", got, err)
		}
		said := strings.Join(told(), "\n")
		for _, want := range []string{"id.example", "Records &", "4711", "Dr Asha Smith", "left: 3", q.Until.Local().Format("15:04"), "ends in 12 days",
			"SETERROR That passcode is not right.", "SETTIMEOUT 90\n", "SETPROMPT Passcode:"} {
			if !strings.Contains(said, want) {
				t.Errorf("it does not say %q: %s", want, said)
			}
		}
	})
	t.Run("own rule: a service that names no application is named alone", func(t *testing.T) {
		q := aQuestion()
		q.Application = ""
		if got := about(q); !strings.Contains(got, "id.example asks you to sign in.") {
			t.Error(got)
		}
	})
	t.Run("own rule: the window speaks Welsh", func(t *testing.T) {
		p, told := program(t, `GETPIN) echo "D 123456"; echo OK ;;`)
		q := aQuestion()
		q.Language = "cy"
		if _, err := p.Ask(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(told(), "\n"); !strings.Contains(said, "Cod pas") || strings.Contains(said, "Passcode") {
			t.Error(said)
		}
	})
	t.Run("own rule: the last try is asked for by itself, before the passcode", func(t *testing.T) {
		q := aQuestion()
		q.TriesLeft = 1
		p, told := program(t, `CONFIRM) echo "ERR 83886194 not confirmed" ;;`)
		if _, err := p.Ask(t.Context(), q); !errors.Is(err, ErrCancelled) || slices.Contains(told(), "GETPIN") {
			t.Errorf("Ask() = %v, after %q", err, told())
		}
		for _, want := range []string{"id.example asks you to sign in to Records & Co.", "4711", "Dr Asha Smith", "One try left."} {
			if said := strings.Join(told(), "\n"); !strings.Contains(said, want) {
				t.Errorf("it does not say %q: %s", want, said)
			}
		}
		q.Wrong = "That passcode is not right."
		p, told = program(t, `GETPIN) echo "D 123456"; echo OK ;;`)
		if _, err := p.Ask(t.Context(), q); err != nil || !slices.Contains(told(), "CONFIRM") || !slices.ContainsFunc(told(), func(line string) bool { return strings.HasPrefix(line, "SETDESC That passcode is not right.") }) {
			t.Errorf("Ask() = %v, after %q", err, told())
		}
	})
	for answer, want := range map[string]error{
		`echo "ERR 83886179 Operation cancelled"`: ErrCancelled,
		`echo "ERR 83886142 Timeout"`:             context.DeadlineExceeded,
		`exit 0`:                                  nil,
		`echo "ERR 83886081 General"`:             nil,
		`head -c 2000 /dev/zero | tr '\0' x`:      nil,
	} {
		t.Run("own rule: no passcode comes of a window that was not agreed to: "+answer, func(t *testing.T) {
			p, _ := program(t, "GETPIN) "+answer+" ;;")
			got, err := p.Ask(t.Context(), aQuestion())
			if err == nil || got != nil || want != nil && !errors.Is(err, want) || want == nil && errors.Is(err, ErrCancelled) {
				t.Errorf("Ask() = %q, %v; want %v", got, err, want)
			}
		})
	}
	t.Run("own rule: the window is gone with the sign-in", func(t *testing.T) {
		p, told := program(t, `GETPIN) exec sleep 600 ;;`)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := p.Ask(ctx, aQuestion())
			ended <- err
		}()
		for !slices.Contains(told(), "GETPIN") {
			time.Sleep(5 * time.Millisecond)
		}
		end()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Ask() = %v", err)
		}
	})
}

func TestPinentryChoose(t *testing.T) {
	holders := []string{"Asha", "Ben", "Carys"}
	for name, tt := range map[string]struct {
		at   string
		want int
		err  error
	}{
		"the first":  {"Asha", 0, nil},
		"the second": {"Ben", 1, nil},
		"the last":   {"Carys", 2, nil},
		"none":       {"nobody", 2, ErrCancelled},
	} {
		t.Run("own rule: of several cards one is chosen by its holder: "+name, func(t *testing.T) {
			p, _ := program(t, `SETDESC*) at="$line"; echo OK ;;
  CONFIRM) case "$at" in *`+tt.at+`*) echo OK ;; *) echo "ERR 83886179 cancelled" ;; esac ;;`)
			if got, err := p.Choose(t.Context(), aQuestion(), holders); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Choose() = %d, %v", got, err)
			}
		})
	}
}

func TestPinentryTell(t *testing.T) {
	t.Run("own rule: words stand in a window until they were read", func(t *testing.T) {
		p, told := program(t, `NONE) ;;`)
		if err := p.Tell(t.Context(), "en", "50% of\ncards"); err != nil {
			t.Fatal(err)
		}
		if got := told(); !slices.Contains(got, "SETDESC 50%25 of%0Acards") || !slices.Contains(got, "MESSAGE") {
			t.Errorf("it was told %q", got)
		}
	})
	t.Run("own rule: words of any length are one line of Assuan", func(t *testing.T) {
		for _, text := range []string{strings.Repeat("x", 5000), strings.Repeat("ŵ", 5000), strings.Repeat("\n", 5000)} {
			if got := escaped(text); len(got) > maxLine-len("SETDESC \n") || strings.ContainsAny(got, "\r\n") {
				t.Errorf("%d bytes", len(got))
			}
		}
	})
}

// FuzzAnswered gives the reader of a window's answers any bytes.
func FuzzAnswered(f *testing.F) {
	for _, seed := range []string{"OK\n", "D 123456\nOK\n", "D %31%\nOK\n", "ERR 83886179 x\n", "S x\n#\nD\nOK", "ERR\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := dialog{nil, newReader(strings.NewReader(string(raw)))}
		if data, err := d.answered(); err != nil && data != nil {
			t.Errorf("%q with %v", data, err)
		}
	})
}
