package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A file has one setting a line, as "Name = value". Lines that begin with # say
// nothing. Turned down: YAML, in which a value may be another than it looks, and
// which is half a megabyte for seven lines of text.

// maxFile bounds a file, and enough how many problems of it a person would read.
const (
	maxFile = 64 << 10
	enough  = 20
)

// parse reads the text of a file. A name that nobody knows is an error, and so is
// one that is given twice.
func parse(path, text string) (map[string]Value, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d KiB", path, maxFile>>10)
	}
	found, at := map[string]Value{}, map[string]int{}
	var problems []error
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		if len(problems) == enough {
			break
		}
		line, n := strings.TrimSpace(line), i+1
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("%s:%d: a line is a name, = and a value", path, n))
		case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
			problems = append(problems, fmt.Errorf("%s:%d: the value has what is no text", path, n))
		case !slices.ContainsFunc(All, func(s Setting) bool { return s.Name == name }):
			problems = append(problems, fmt.Errorf("%s:%d: unknown setting %.80q: did you mean %q?", path, n, name, nearest(name)))
		case at[name] != 0:
			problems = append(problems, fmt.Errorf("%s:%d: %s is given twice: first on line %d", path, n, name, at[name]))
		default:
			found[name], at[name] = Value{Text: value, From: fmt.Sprintf("%s:%d", path, n)}, n
		}
	}
	return found, errors.Join(problems...)
}

// nearest is the setting that takes the fewest slips to become name.
func nearest(name string) string {
	best, least := "", 0
	for _, s := range All {
		if d := slips(strings.ToLower(name), strings.ToLower(s.Name)); best == "" || d < least {
			best, least = s.Name, d
		}
	}
	return best
}

// slips counts the letters to add, drop or change between a and b. Of long words
// only the start is looked at.
func slips(a, b string) int {
	const start = 40
	a, b = a[:min(len(a), start)], b[:min(len(b), start)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, change)
		}
	}
	return row[len(b)]
}
