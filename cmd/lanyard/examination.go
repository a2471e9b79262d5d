package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// finding is one thing that the doctor looked at.
type finding struct {
	Verdict verdict `json:"verdict"`
	Of      string  `json:"of"`   // the key, or the part of the service
	Says    string  `json:"says"` // what was found
	Do      string  `json:"do,omitempty"`
}

type verdict string

const (
	fine verdict = "ok"
	warn verdict = "warn" // it works, and somebody should know
	fail verdict = "fail" // a server would not start, or could not be trusted
)

// examination is what the doctor found so far.
type examination struct {
	now      func() time.Time
	findings []finding
}

// note writes down a finding. Others may have written some of it, and it is for
// a terminal: what is not seen there is left out.
func (e *examination) note(v verdict, of, says, do string) {
	seen := func(text string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return -1
		}, text)
	}
	e.findings = append(e.findings, finding{v, seen(of), seen(says), seen(do)})
}

// refused notes every reason not to start, and says whether there was none.
func (e *examination) refused(no refusals) bool {
	for _, r := range no {
		e.note(fail, r.key, r.what, r.todo)
	}
	return len(no) == 0
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (e *examination) print(out io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(e.findings)
	}
	for _, f := range e.findings {
		line := fmt.Sprintf("%-4s  %s: %s", f.Verdict, f.Of, f.Says)
		if f.Do != "" {
			line += "; " + f.Do
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
