package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// fits says whether text is JSON that reads as a value of type t, and nothing
// besides: who sent a member that nobody knows meant something by it, and who
// sent one twice is read in two ways by two programs. The members of skip stand
// elsewhere.
func fits(text []byte, t reflect.Type, skip []string) error {
	if !utf8.Valid(text) {
		return api.ErrBody
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	w := walk{d: d}
	if err := w.value(t, "", skip); err != nil {
		return api.ErrBody
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return api.ErrBody
	}
	return w.no.err()
}

// walk goes through JSON beside a type. It goes no deeper than the type does:
// what it does not know is passed over.
type walk struct {
	d  *json.Decoder
	no fields
}

// value reads one value, which stands at a place in the whole.
func (w *walk) value(t reflect.Type, at string, skip []string) error {
	if t.Kind() != reflect.Struct && reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		var raw json.RawMessage
		if err := w.d.Decode(&raw); err != nil {
			return err
		}
		if json.Unmarshal(raw, reflect.New(t).Interface()) != nil {
			w.no.add(at, registry.Form, "")
		}
		return nil
	}
	token, err := w.d.Token()
	if err != nil {
		return err
	}
	switch is := token.(type) {
	case json.Delim:
		switch {
		case is == '{' && t.Kind() == reflect.Struct:
			return w.object(t, at, skip)
		case is == '[' && t.Kind() == reflect.Slice:
			return w.list(t.Elem(), at)
		}
		w.no.add(at, registry.Form, "")
		return w.pass()
	case string:
		if t.Kind() == reflect.String {
			return nil
		}
	case bool:
		if t.Kind() == reflect.Bool {
			return nil
		}
	case json.Number:
		if _, err := is.Int64(); err == nil && (t.Kind() == reflect.Int || t.Kind() == reflect.Int64) {
			return nil
		}
	}
	w.no.add(at, registry.Form, "")
	return nil
}

func (w *walk) object(t reflect.Type, at string, skip []string) error {
	members, seen := membersOf(t), map[string]bool{}
	members = slices.DeleteFunc(members, func(m member) bool { return slices.Contains(skip, m.name) })
	for w.d.More() {
		token, err := w.d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		place := strings.TrimPrefix(at+"."+name, ".")
		if seen[name] {
			w.no.add(place, registry.Twice, "")
		}
		seen[name] = true
		i := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		if i < 0 {
			w.no.add(place, registry.Unknown, nearest(name, members))
			err = w.next()
		} else {
			err = w.value(members[i].of, place, nil)
		}
		if err != nil {
			return err
		}
	}
	_, err := w.d.Token()
	return err
}

func nearest(name string, members []member) string {
	var known []string
	for _, m := range members {
		known = append(known, m.name)
	}
	return directory.Nearest(name, known)
}

func (w *walk) list(of reflect.Type, at string) error {
	for i := 0; w.d.More(); i++ {
		if err := w.value(of, strings.TrimPrefix(fmt.Sprintf("%s.%d", at, i), "."), nil); err != nil {
			return err
		}
	}
	_, err := w.d.Token()
	return err
}

// next passes over one value.
func (w *walk) next() error {
	token, err := w.d.Token()
	if _, ok := token.(json.Delim); ok && err == nil {
		return w.pass()
	}
	return err
}

// pass passes over the rest of an object or a list that has begun.
func (w *walk) pass() error {
	for depth := 1; depth > 0; {
		token, err := w.d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	return nil
}
