package directory

import (
	"fmt"
	"slices"
	"strings"
)

// maxProblems is how many problems one reading names: whoever gets more has the
// wrong file.
const maxProblems = 1000

// Problem is one thing that is wrong with a document.
type Problem struct {
	Line int // from 1; 0 of how many more there are
	Text string
}

// Error returns the line and what is wrong there.
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// Problems are the things that are wrong with a document, by line: all of them,
// or the first thousand that were found and how many more there are.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// found are the problems as they are found.
type found struct {
	problems Problems
	more     int // than are named
}

func (f *found) add(line int, format string, args ...any) {
	if len(f.problems) == maxProblems {
		f.more++
		return
	}
	f.problems = append(f.problems, Problem{line, fmt.Sprintf(format, args...)})
}

// count is how many were found.
func (f found) count() int { return len(f.problems) + f.more }

// err returns the problems by line, and nil if there are none.
func (f found) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(f.problems, func(a, b Problem) int { return a.Line - b.Line })
	if f.more > 0 {
		return append(f.problems, Problem{Text: fmt.Sprintf("and %d more", f.more)})
	}
	return f.problems
}

// shown returns text from the document for a message: quoted, and not more
// than a person would read.
func shown(text string) string {
	const enough = 60
	runes := []rune(text)
	if len(runes) > enough {
		text = string(runes[:enough]) + "..."
	}
	return fmt.Sprintf("%q", text)
}
