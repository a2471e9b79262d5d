package directory

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// word returns n as it is written, and false if it is not one line of text.
func (r *reader) word(key string, n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, "%q: one value is wanted here", key)
		return "", false
	}
	if strings.ContainsFunc(n.Value, unicode.IsControl) {
		r.fail(n, "%q: line breaks and control characters are not allowed", key)
		return "", false
	}
	return n.Value, true
}

// text reads n into a string.
func (r *reader) text(v reflect.Value, f field, key string, n *yaml.Node) {
	text, ok := r.word(key, n)
	switch {
	case !ok:
	case text == "" && (f.required || f.def != ""):
		r.fail(n, "%q is empty", key)
	case text == "":
	case f.enum != nil && !slices.Contains(f.enum, text):
		r.fail(n, "%q: unknown value %s: did you mean %q?", key, shown(text), Nearest(text, f.enum))
	case f.form.fits != nil && !f.form.fits(text):
		r.fail(n, "%q: %s is not %s", key, f.form.shown(text), f.form.noun)
	default:
		v.SetString(text)
	}
}

// number reads a whole number. Octal, hex and quoted ones are refused: people
// disagree about what they are.
func (r *reader) number(v reflect.Value, f field, key string, n *yaml.Node) {
	i, err := strconv.Atoi(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode, n.Style != 0, err != nil, strconv.Itoa(i) != n.Value:
		r.fail(n, "%q: a whole number is wanted here", key)
	case f.ranged && (i < f.min || i > f.max):
		r.fail(n, "%q: %d is not between %d and %d", key, i, f.min, f.max)
	default:
		v.SetInt(int64(i))
	}
}

// bool reads true or false; the other words of YAML for them are refused.
func (r *reader) bool(v reflect.Value, key string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Style != 0 || n.Value != "true" && n.Value != "false" {
		r.fail(n, "%q: true or false is wanted here", key)
		return
	}
	v.SetBool(n.Value == "true")
}
