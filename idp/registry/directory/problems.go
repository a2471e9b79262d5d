package directory

import (
	"fmt"
	"slices"
	"strings"
)

// maxProblems is how many problems one reading reports: whoever gets more has
// the wrong file.
const maxProblems = 20

// Problem is one thing that is wrong with a document.
type Problem struct {
	Line int // from 1
	Text string
}

// Error returns the line and what is wrong there.
func (p Problem) Error() string { return fmt.Sprintf("line %d: %s", p.Line, p.Text) }

// Problems are the things that are wrong with a document, by line: the first
// twenty that were found.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (ps *Problems) add(line int, format string, args ...any) {
	if len(*ps) < maxProblems {
		*ps = append(*ps, Problem{line, fmt.Sprintf(format, args...)})
	}
}

func (ps Problems) full() bool { return len(ps) == maxProblems }

// err returns the problems by line, and nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return ps
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
