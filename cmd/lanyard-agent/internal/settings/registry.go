package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// key is a place of Windows' registry in which settings stand.
type key struct {
	rank  Rank
	hive  string // HKLM or HKCU
	path  string
	wow   bool     // where programs of 32 bits find it
	names []string // all that are taken from there; nil: every setting
}

// String is the key as people find it.
func (k key) String() string {
	path := k.path
	if k.wow {
		path = strings.Replace(path, `SOFTWARE\`, `SOFTWARE\WOW6432Node\`, 1)
	}
	return k.hive + `\` + path
}

const (
	hiveMachine = "HKLM"
	hivePerson  = "HKCU"
)

// keys are the places, of each rank the one first that counts over the others.
// What was meant for a program of 32 bits counts for this one too.
var keys = []key{
	{rank: Policy, hive: hiveMachine, path: `SOFTWARE\Policies\Lanyard\Agent`},
	{rank: Machine, hive: hiveMachine, path: `SOFTWARE\Lanyard\Agent`},
	{rank: Machine, hive: hiveMachine, path: `SOFTWARE\Lanyard\Agent`, wow: true},
	{rank: User, hive: hivePerson, path: `SOFTWARE\Lanyard\Agent`},
	{rank: Former, hive: hiveMachine, path: `SOFTWARE\Policies\NHS\SmartcardConnect`, names: []string{nameTimer}},
	{rank: Former, hive: hiveMachine, path: `SOFTWARE\NHS\SmartcardConnect`, wow: true, names: []string{nameTimer}},
	{rank: Former, hive: hivePerson, path: `SOFTWARE\NHS\SmartcardConnect`, names: []string{nameTimer}},
	{rank: Former, hive: hiveMachine, path: `SOFTWARE\HSCIC\Identity Agent`, names: []string{namePolling}},
	{rank: Former, hive: hiveMachine, path: `SOFTWARE\HSCIC\Identity Agent`, wow: true, names: []string{namePolling}},
}

// maxValue bounds one value.
const maxValue = 16 << 10

// layersOf asks every key for its settings. read returns the text of a value,
// and nothing for one that is not there. What cannot be read is an error,
// unless an older product left it.
func layersOf(read func(k key, name string) (string, error)) ([]Layer, error) {
	var all []Layer
	var problems []error
	for _, k := range keys {
		all = append(all, LayerOf(k.rank, func(name string) Value {
			if k.names != nil && !slices.Contains(k.names, name) {
				return Value{}
			}
			from := k.String() + `\` + name
			text, err := read(k, name)
			if text = strings.TrimSpace(text); err == nil {
				err = isText(text)
			}
			if err != nil {
				if k.rank != Former {
					problems = append(problems, fmt.Errorf("%s: %w", from, err))
				}
				return Value{}
			}
			return Value{Text: text, From: from}
		}))
	}
	return all, errors.Join(problems...)
}

func isText(text string) error {
	if len(text) > maxValue {
		return fmt.Errorf("longer than %d KiB", maxValue>>10)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("the value has what is no text")
	}
	return nil
}
