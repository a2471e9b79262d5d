package registry

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp/registry"
)

func TestCSV(t *testing.T) {
	t.Run("own rule: no cell of a table is a formula", func(t *testing.T) {
		names := []string{"=HYPERLINK(\"https://x\")", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "Ann, \"the\" Other", "O'Neil", "", "a\nb"}
		w := httptest.NewRecorder()
		var rows [][]string
		for _, n := range names {
			rows = append(rows, []string{n, "x"})
		}
		if err := writeCSV(w, "expiring", []string{"name", "x"}, rows); err != nil {
			t.Fatal(err)
		}
		read, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(read) != len(names)+1 {
			t.Fatalf("%v, %v", read, err)
		}
		for i, n := range names {
			got := read[i+1][0]
			if strings.ContainsAny(got[:min(1, len(got))], "=+-@\t\r\n") || strings.TrimPrefix(got, "'") != strings.TrimPrefix(n, "'") {
				t.Errorf("%q is written %q", n, got)
			}
		}
	})
}

func TestTable(t *testing.T) {
	t.Run("own rule: every change has a route, and no route or operation is there twice", func(t *testing.T) {
		kinds, ids, places := map[registry.Kind]bool{}, map[string]bool{}, map[string]bool{}
		for _, rt := range routes() {
			if c, ok := rt.body.(registry.Change); ok {
				kinds[c.Kind()] = true
			}
			if place := rt.method + " " + rt.path; ids[rt.id] || places[place] {
				t.Errorf("%s at %s is there twice", rt.id, place)
			}
			ids[rt.id], places[rt.method+" "+rt.path] = true, true
			if parts[rt.tag] == "" || rt.does == "" {
				t.Errorf("%s is not described", rt.id)
			}
		}
		for _, kind := range registry.Kinds() {
			if !kinds[kind] {
				t.Errorf("nobody can ask for %s", kind)
			}
		}
	})
	t.Run("own rule: what stands in a path is a member of what it asks for", func(t *testing.T) {
		for _, rt := range routes() {
			if !rt.change || rt.path == "/clients/{id}" { // of which it is the name of a member's
				continue
			}
			for _, name := range rt.of() {
				if _, ok := memberOf(reflect.TypeOf(rt.body), rt.member(name)); !ok {
					t.Errorf("%s: %s has no member %s", rt.id, reflect.TypeOf(rt.body), rt.member(name))
				}
			}
		}
	})
	t.Run("own rule: the document is the same each time", func(t *testing.T) {
		if one, two := document(routes()), document(routes()); !bytes.Equal(one, two) {
			t.Error("it is not")
		}
	})
}

// What fits a type is read as that type by encoding/json, and nothing of it is
// lost: that is what unknown members are refused for.
func FuzzFits(f *testing.F) {
	for _, text := range []string{`{}`, `{"name":{"given":"A","family":"B"},"profile":"verified","check":{"how":"video","documents":["a"],"assurance":2}}`,
		`{"name":{"given":"A","given":"B"}}`, `{"x":[[[{}]]]}`, `{"check":{"assurance":1e3}}`, `{"check":{"assurance":1.0}}`, `[]`, `"`, "{\"name\":{\"given\":\"\xff\"}}", `{"Name":{}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := fits(text, reflect.TypeFor[registry.AddPerson](), nil); err != nil {
			if w, ok := errors.AsType[wrong](err); ok && len(w.fields) > mostFields {
				t.Errorf("%d fields are named", len(w.fields))
			}
			return
		}
		var read registry.AddPerson
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatalf("%s fits, and is not read: %v", text, err)
		}
		var says map[string]any
		if err := json.Unmarshal(text, &says); err != nil {
			t.Fatal(err)
		}
		var known []string
		for _, m := range membersOf(reflect.TypeFor[registry.AddPerson]()) {
			known = append(known, m.name)
		}
		for name := range says {
			if !slices.Contains(known, name) {
				t.Errorf("%q is known to nobody", name)
			}
		}
	})
}
