package challenge

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzMembers compares with encoding/json: what is cut out of an object is what
// another reader finds there.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		goodPayload(f), `{}`, ` { "a" : 1 , "b":[{"c":"]}"},2] ,"d":{"e":"\"}"}}`, `{"a":-1.5e3}`, `{"a":true,"a":null}`, `{"\u0061":1}`, `["a"]`, `{"":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want map[string]json.RawMessage
		if json.Unmarshal(raw, &want) != nil || want == nil {
			return
		}
		got, err := Members(raw)
		if err != nil {
			return
		}
		for name, value := range got {
			if utf8.ValidString(name) && !bytes.Equal(value, want[name]) {
				t.Errorf("%q of %q is %q, want %q", name, raw, value, want[name])
			}
		}
		for name := range want {
			if _, has := got[name]; !has && utf8.Valid(raw) {
				t.Errorf("%q of %q was not found", name, raw)
			}
		}
	})
}

func TestMembers(t *testing.T) {
	for rule, raw := range map[string]string{
		"desk-auth/1: a member that comes twice":        `{"a":1,"b":{},"a":1}`,
		"desk-auth/1: a name that is written otherwise": `{"\u0061":1}`,
		"desk-auth/1: a list":                           `[{"a":1}]`,
		"desk-auth/1: nothing":                          `null`,
	} {
		t.Run(rule, func(t *testing.T) {
			if got, err := Members([]byte(raw)); err == nil {
				t.Errorf("Members() = %q", got)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	jws := []byte(compact(goodHeader, goodPayload(b)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(jws); err != nil {
			b.Fatal(err)
		}
	}
}
