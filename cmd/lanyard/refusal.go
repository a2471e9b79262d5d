package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// refusal is one reason not to start: which setting, what is wrong with it,
// and what to do.
type refusal struct{ key, what, todo string }

func (r refusal) Error() string { return r.key + ": " + r.what + "; " + r.todo }

// refusals are every reason that was found, so that nobody has to start ten
// times to learn of ten.
type refusals []refusal

func (rs *refusals) add(key, what, todo string, args ...any) {
	*rs = append(*rs, refusal{key, what, fmt.Sprintf(todo, args...)})
}

// of says whether something about that key was refused.
func (rs refusals) of(key string) bool {
	return slices.ContainsFunc(rs, func(r refusal) bool { return r.key == key })
}

// err is nil if there is nothing to refuse.
func (rs refusals) err() error {
	var errs []error
	for _, r := range rs {
		errs = append(errs, r)
	}
	return errors.Join(errs...)
}

// complain is what the terminal is told of err: one line for each reason. Some
// libraries write theirs on several, the later ones set in.
func complain(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		text := strings.TrimSpace(line)
		if inset := text != "" && line[0] <= ' '; inset && len(lines) > 0 {
			lines[len(lines)-1] += " " + text
			continue
		}
		lines = append(lines, "lanyard: "+text)
	}
	return strings.Join(lines, "\n") + "\n"
}
