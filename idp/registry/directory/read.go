package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxSize is how long a document may be, in bytes.
const MaxSize = 64 << 20

// Read reads one document. If anything is wrong with it the error is Problems
// and the Document is empty.
func Read(r io.Reader) (Document, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return Document{}, fmt.Errorf("read directory: %w", err)
	}
	if len(text) > MaxSize {
		return Document{}, fmt.Errorf("read directory: longer than %d MiB", MaxSize>>20)
	}
	root, err := parse(text)
	if err != nil {
		return Document{}, err
	}

	var d Document
	rd := reader{shapes: shapes{}, seen: map[name]int{}}
	if rd.plainNode(root, "") {
		rd.mapping(reflect.ValueOf(&d).Elem(), "", root)
	}
	rd.settle()
	if err := rd.problems.err(); err != nil {
		return Document{}, err
	}
	return d, nil
}

// parse returns the root of the one document in text. An empty file is not an
// empty directory: it is far more likely a file that was cut off.
func parse(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(asYAML(text)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, Problems{{1, "the document is empty"}}
	case err != nil:
		return nil, syntax(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, Problems{{max(more.Line, 1), "there is a second document in the file"}}
	}
	return doc.Content[0], nil
}

// syntax returns what the YAML library says as a problem. It writes no line
// where it means the first.
func syntax(err error) Problems {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if number, rest, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok {
		if n, err := strconv.Atoi(number); err == nil {
			line, text = n, rest
		}
	}
	return Problems{{line, text}}
}

// reader reads one document.
type reader struct {
	problems found
	shapes   shapes
	seen     map[name]int // where a name was given
	refs     []ref
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.problems.add(n.Line, format, args...)
}

// failAt is fail with the key under which n stands, if it has one.
func (r *reader) failAt(n *yaml.Node, key, text string) {
	if key != "" {
		text = shown(key) + ": " + text
	}
	r.fail(n, "%s", text)
}

// checked is a type that has more to say about its value than its tags can.
type checked interface {
	check(r *reader, at lines)
}

// custom is a type that reads and writes itself. key is the key that was used.
type custom interface {
	read(r *reader, key string, n *yaml.Node)
	write() *yaml.Node // nil: leave the key out
}

// value reads n, which stands under key, into v.
func (r *reader) value(v reflect.Value, f field, key string, n *yaml.Node) {
	if !r.plainNode(n, key) {
		return
	}
	if c, ok := v.Addr().Interface().(custom); ok {
		c.read(r, key, n)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.mapping(v, key, n)
	case reflect.Slice:
		r.list(v, f, key, n)
	case reflect.Int:
		r.number(v, f, key, n)
	case reflect.Bool:
		r.bool(v, key, n)
	default:
		r.text(v, f, key, n)
	}
}

// plainNode refuses what makes a document mean something other than it says.
// It stands under key; "" is nowhere.
func (r *reader) plainNode(n *yaml.Node, key string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.failAt(n, key, "aliases are not allowed")
	case n.Anchor != "":
		r.failAt(n, key, "anchors are not allowed")
	case n.Style&yaml.TaggedStyle != 0:
		r.failAt(n, key, "tags are not allowed")
	default:
		return true
	}
	return false
}

// mapping reads n into the struct v, and gives what n leaves out its default.
func (r *reader) mapping(v reflect.Value, key string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.failAt(n, key, "keys and values are wanted here")
		return
	}
	fields := r.shapes.of(v.Type())
	at := lines{start: n.Line, keys: make(map[string]int, len(fields))}
	filled := make([]bool, v.NumField())
	for i := 0; i+1 < len(n.Content); i += 2 {
		word, val := n.Content[i], n.Content[i+1]
		f, ok := r.key(fields, word)
		if !ok || r.twice(f, word, at) {
			continue
		}
		at.keys[f.key] = word.Line
		if !absent(val) {
			filled[f.index] = true
			r.value(v.Field(f.index), f, word.Value, val)
		}
	}
	for _, f := range fields {
		if !filled[f.index] {
			r.missing(v.Field(f.index), f, at)
		}
	}
	if c, ok := v.Addr().Interface().(checked); ok {
		c.check(r, at)
	}
}

// key returns the field that key names.
func (r *reader) key(fields []field, key *yaml.Node) (field, bool) {
	if key.Kind != yaml.ScalarNode {
		r.fail(key, "a key must be one word")
		return field{}, false
	}
	if key.Tag == "!!merge" {
		r.fail(key, "merge keys are not allowed")
		return field{}, false
	}
	if !r.plainNode(key, "") {
		return field{}, false
	}
	for _, f := range fields {
		if key.Value == f.key || f.also != "" && key.Value == f.also {
			return f, true
		}
	}
	var known []string
	for _, f := range fields {
		known = append(known, f.key)
		if f.also != "" {
			known = append(known, f.also)
		}
	}
	r.fail(key, "unknown key %s: did you mean %q?", shown(key.Value), Nearest(key.Value, known))
	return field{}, false
}

// twice says whether f was given before, and refuses that.
func (r *reader) twice(f field, key *yaml.Node, at lines) bool {
	line, given := at.keys[f.key]
	if given && f.also != "" {
		r.fail(key, "%q: one of %q and %q is enough, and line %d has one", key.Value, f.also, f.key, line)
	} else if given {
		r.fail(key, "%q is given twice: first on line %d", key.Value, line)
	}
	return given
}

// missing gives v, which no value was given for, its default.
func (r *reader) missing(v reflect.Value, f field, at lines) {
	_, isCustom := v.Addr().Interface().(custom)
	switch {
	case f.required:
		r.problems.add(at.of(f.key), "%q is missing", f.key)
	case v.Kind() == reflect.Struct && !isCustom:
		r.mapping(v, f.key, &yaml.Node{Kind: yaml.MappingNode, Line: at.start})
	default:
		f.setDefault(v)
	}
}

// absent says whether n stands for no value. NULL and Null are text, so that a
// person may be called so.
func absent(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && n.Anchor == "" &&
		(n.Value == "" || n.Value == "~" || n.Value == "null")
}

func (r *reader) list(v reflect.Value, f field, key string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%q: a list is wanted here", key)
		return
	}
	if len(n.Content) == 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		if absent(item) || item.Kind == yaml.ScalarNode && item.Value == "" {
			r.fail(item, "%q: an item of the list is empty", key)
			continue
		}
		r.value(v.Index(i), f, key, item)
	}
}
