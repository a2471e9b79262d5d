package federated

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzAnswer(f *testing.F) {
	name := strings.Repeat("A", 43)
	for _, seed := range []string{
		`{"state":"` + name + `","code":"c","iss":"https://id.example"}`, `{"state":"` + name + `","error":"access_denied"}`,
		`{"state":"` + name + `","code":"c","error":"x"}`, `{"state":"` + name + `"}`, `{"state":1}`, `null`, ``, `{}{}`, strings.Repeat("[", 9000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parse(raw)
		if err != nil {
			if a != (answer{}) {
				t.Error("what was refused is returned")
			}
			return
		}
		if !isName(a.State) || (a.Code == "") == (a.Error == "") || len(raw) > mostParts {
			t.Errorf("parse() took %+v", a)
		}
		again, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > mostParts { // what JSON escapes is longer than what came
			return
		}
		if b, err := parse(again); err != nil || b != a {
			t.Errorf("read again it is %+v, %v", b, err)
		}
	})
}
