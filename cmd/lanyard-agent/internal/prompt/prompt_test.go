package prompt

import (
	"reflect"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	t.Run("own rule: every label is there in every language, and takes the same", func(t *testing.T) {
		english := reflect.ValueOf(words["en"])
		for language, w := range words {
			v := reflect.ValueOf(w)
			for i := range v.NumField() {
				name, text := v.Type().Field(i).Name, v.Field(i).String()
				if text == "" || strings.Count(text, "%") != strings.Count(english.Field(i).String(), "%") {
					t.Errorf("%s in %q: %q", name, language, text)
				}
			}
		}
		if In("cy") == In("en") || In("x") != In("en") {
			t.Error("languages are mixed up")
		}
	})
}
