package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/lanyard-id/lanyard/idp"
	"go.yaml.in/yaml/v3"
)

// Write writes d so that Read gives it back and equal documents are equal
// bytes. A key is left out where it is empty and its absence means the same;
// everything else is written, so a document keeps its meaning when a default
// changes. Text is quoted, so that no reader takes a code for a number.
//
// Of authenticators the records are left out: WriteSecrets writes them too.
// Nothing is written of a document that cannot be written whole.
func Write(w io.Writer, d Document) error { return WriteSecrets(w, d.withoutRecords()) }

// withoutRecords returns d without what rooms keep with authenticators.
func (d Document) withoutRecords() Document {
	d.People = slices.Clone(d.People)
	for i := range d.People {
		p := &d.People[i]
		p.Authenticators = slices.Clone(p.Authenticators)
		for j := range p.Authenticators {
			p.Authenticators[j].Record, p.Authenticators[j].Mark = "", ""
		}
	}
	return d
}

// WriteSecrets writes d as Write does, and what rooms keep with authenticators
// as well. Who has that can sign in as their people, unless it is sealed.
func WriteSecrets(w io.Writer, d Document) error {
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	wr := writer{shapes{}}
	if err := errors.Join(enc.Encode(wr.mapping(reflect.ValueOf(&d).Elem(), false)), enc.Close()); err != nil {
		return fmt.Errorf("write directory: %w", err)
	}
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write directory: %w", err)
	}
	return nil
}

type writer struct{ shapes shapes }

func (w writer) mapping(v reflect.Value, flow bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if flow {
		n.Style = yaml.FlowStyle
	}
	for _, f := range w.shapes.of(v.Type()) {
		if val := w.value(v.Field(f.index), f); val != nil {
			n.Content = append(n.Content, plain(f.key), val)
		}
	}
	return n
}

// value returns v as a node, and nil if its key may be left out.
func (w writer) value(v reflect.Value, f field) *yaml.Node {
	if c, ok := v.Addr().Interface().(custom); ok {
		return c.write()
	}
	if v.Kind() == reflect.Struct {
		if n := w.mapping(v, f.flow); len(n.Content) > 0 {
			return n
		}
		return nil
	}
	if v.Kind() == reflect.Slice {
		if v.Len() == 0 && f.def == "" {
			return nil
		}
		return w.list(v, f)
	}
	if v.IsZero() && f.def == "" && !f.required {
		return nil
	}
	return scalar(v, f)
}

// list writes flow lists of words in one line, and flow lists of mappings with
// one line for each, so that a difference shows which.
func (w writer) list(v reflect.Value, f field) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if v.Len() == 0 || f.flow && v.Type().Elem().Kind() != reflect.Struct {
		n.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		if item := v.Index(i); item.Kind() == reflect.Struct {
			n.Content = append(n.Content, w.mapping(item, f.flow))
		} else {
			n.Content = append(n.Content, scalar(item, f))
		}
	}
	return n
}

func scalar(v reflect.Value, f field) *yaml.Node {
	switch v.Kind() {
	case reflect.Int:
		return plain(strconv.FormatInt(v.Int(), 10))
	case reflect.Bool:
		return plain(strconv.FormatBool(v.Bool()))
	}
	isPlain := v.Type() == reflect.TypeFor[idp.Date]() || slices.Contains(f.enum, v.String())
	if isPlain && v.String() != "" {
		return plain(v.String())
	}
	return quoted(v.String())
}

// plain is for words that no reader can take for something else.
func plain(word string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: word}
}

func quoted(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}

// jsonNode returns what encoding/json made as a node, members in order.
func jsonNode(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, quoted(key), jsonNode(v[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			n.Content = append(n.Content, jsonNode(item))
		}
		return n
	case bool:
		return plain(strconv.FormatBool(v))
	case nil:
		return plain("null")
	}
	return quoted(fmt.Sprint(v))
}
