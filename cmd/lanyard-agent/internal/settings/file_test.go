package settings

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Run("own rule: a setting is known with its line", func(t *testing.T) {
		found, err := parse("f", "\ufeff# the hospital\r\n\r\n  Issuer =  https://id.example/a=b \r\nTray=false")
		if err != nil || found["Issuer"] != (Value{"https://id.example/a=b", "f:3"}) || found["Tray"] != (Value{"false", "f:4"}) {
			t.Errorf("parse() = %v, %v", found, err)
		}
	})
	for text, want := range map[string]string{
		"Isuer = x":                         `f:1: unknown setting "Isuer": did you mean "Issuer"?`,
		"timetoshowpinfrom=1":               `did you mean "TimeToShowPinForm"?`,
		"Tray = true\nTray = false":         "f:2: Tray is given twice: first on line 1",
		"Issuer https://id.example":         "f:1: a line is a name, = and a value",
		"Issuer = a\x00b":                   "f:1: the value has what is no text",
		"Issuer = \xff":                     "f:1: the value has what is no text",
		strings.Repeat("#", maxFile+1):      "f: longer than 64 KiB",
		strings.Repeat("What = ever\n", 99): "f:20: unknown",
	} {
		t.Run("own rule: a file says what it means: "+want, func(t *testing.T) {
			if _, err := parse("f", text); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("parse() = %v", err)
			} else if n := strings.Count(err.Error(), "\n"); n >= enough {
				t.Errorf("%d lines of problems", n)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Issuer = https://id.example\n# x\nTray=true\n")
	f.Add("OtherServices = https://a.example https://b.example, http://[::1]:1")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parse("f", text)
		if err != nil {
			return
		}
		s, err := Read(Layer{Rank: User, Values: values})
		if err != nil {
			return
		}
		for _, service := range s.Services {
			if service.Check() != nil {
				t.Errorf("%+v counts", service)
			}
		}
		if s.PINTimer.Seconds() < leastTimer || s.PINTimer.Seconds() > mostTimer {
			t.Errorf("%v counts", s.PINTimer)
		}
	})
}
