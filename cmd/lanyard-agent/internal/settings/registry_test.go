package settings

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// registryOf is one in the test's process: texts by where they stand.
type registryOf map[string]string

func (r registryOf) read(k key, name string) (string, error) {
	text := r[k.String()+`\`+name]
	if text == "unreadable" {
		return "", errors.New("it cannot be read")
	}
	return text, nil
}

func TestRegistry(t *testing.T) {
	const (
		policy  = `HKLM\SOFTWARE\Policies\Lanyard\Agent\`
		machine = `HKLM\SOFTWARE\Lanyard\Agent\`
		small   = `HKLM\SOFTWARE\WOW6432Node\Lanyard\Agent\`
		person  = `HKCU\SOFTWARE\Lanyard\Agent\`
		older   = `HKLM\SOFTWARE\Policies\NHS\SmartcardConnect\`
		olderM  = `HKLM\SOFTWARE\WOW6432Node\NHS\SmartcardConnect\`
		olderP  = `HKCU\SOFTWARE\NHS\SmartcardConnect\`
		oldest  = `HKLM\SOFTWARE\HSCIC\Identity Agent\`
		oldestS = `HKLM\SOFTWARE\WOW6432Node\HSCIC\Identity Agent\`
	)
	t.Run("own rule: policy counts over machine, either view of it, over the person, over older products", func(t *testing.T) {
		order := []string{policy, machine, small, person, older, olderM, olderP}
		r := registryOf{}
		for i, at := range slices.Backward(order) {
			r[at+nameTimer] = " " + strconv.Itoa(60+i) + " "
			layers, err := layersOf(r.read)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Read(layers...)
			if said := s.Named(nameTimer); err != nil || said.From != at+nameTimer || said.Text != strconv.Itoa(60+i) {
				t.Errorf("%+v, %v; want %s", said, err, at)
			}
		}
	})
	t.Run("own rule: polling is taken from the oldest product, in either view", func(t *testing.T) {
		for _, at := range []string{oldest, oldestS} {
			layers, err := layersOf(registryOf{at + namePolling: "1"}.read)
			if s, err2 := Read(layers...); err != nil || err2 != nil || !s.PollReaders {
				t.Errorf("%s: %+v, %v, %v", at, s, err, err2)
			}
		}
	})
	t.Run("own rule: an older product says nothing else, and what cannot be read of it is left alone", func(t *testing.T) {
		layers, err := layersOf(registryOf{older + nameIssuer: "https://evil.example", olderP + namePolling: "1", oldest + nameTimer: "60", olderM + nameTimer: "unreadable"}.read)
		s, err2 := Read(layers...)
		if err != nil || err2 != nil || !s.Assumed() || s.PollReaders || s.Named(nameTimer).Rank != Default {
			t.Errorf("%+v, %v, %v", s.Said(), err, err2)
		}
	})
	t.Run("own rule: a value of ours that cannot be read is an error that says where", func(t *testing.T) {
		for _, text := range []string{"unreadable", "a\x01b", "\xff", strings.Repeat("x", maxValue+1)} {
			if _, err := layersOf(registryOf{person + "Tray": text}.read); err == nil || !strings.HasPrefix(err.Error(), person+"Tray: ") {
				t.Errorf("%.10q: %v", text, err)
			}
		}
	})
}
