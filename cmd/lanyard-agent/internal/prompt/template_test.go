package prompt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// made is a window as Windows reads it from a template.
type made struct {
	style, extra uint32
	width, high  int
	title, face  string
	points       int
	controls     []control
}

// readTemplate reads as Windows does.
func readTemplate(b []byte) (m made, err error) {
	at := 0
	defer func() {
		if recover() != nil {
			err = errors.New("it ends too soon")
		}
	}()
	short := func() int { v := binary.LittleEndian.Uint16(b[at:]); at += 2; return int(v) }
	long := func() uint32 { v := binary.LittleEndian.Uint32(b[at:]); at += 4; return v }
	text := func() string {
		var units []uint16
		for u := short(); u != 0; u = short() {
			units = append(units, uint16(u))
		}
		return string(utf16.Decode(units))
	}
	m.style, m.extra = long(), long()
	n := short()
	short()
	short()
	m.width, m.high = short(), short()
	if long() != 0 {
		return m, errors.New("it has a menu or a class")
	}
	m.title, m.points, m.face = text(), short(), text()
	for range n {
		at = (at + 3) &^ 3
		c := control{style: long()}
		if long() != 0 {
			return m, errors.New("a control has more styles")
		}
		c.x, c.y, c.w, c.h, c.id = short(), short(), short(), short(), uint16(short())
		if short() != 0xFFFF {
			return m, errors.New("a control has a class with a name")
		}
		c.class, c.text = uint16(short()), text()
		if short() != 0 {
			return m, errors.New("a control has more")
		}
		m.controls = append(m.controls, c)
	}
	if at != len(b) {
		return m, fmt.Errorf("%d bytes are left", len(b)-at)
	}
	return m, nil
}

// typewriter measures as if every letter were as wide.
func typewriter(text string, width int) int {
	lines := 0
	for line := range strings.Lines(text) {
		lines += 1 + len([]rune(line))*letter/width
	}
	return lines * lineHigh
}

func aWindowQuestion() Question {
	return Question{Language: "en", Service: "id.example", Application: "Ward & Theatre", Code: "4821", Holder: "Dr Asha Smith", TriesLeft: 2,
		Wrong: "That passcode is not right.", Notices: []string{"Your card ends in 12 days."}, Until: time.Unix(1000, 0)}
}

func TestTemplate(t *testing.T) {
	for name, tt := range map[string]struct {
		form form
		says []string
		ids  []uint16 // of what is not text
	}{
		"passcode": {asking(aWindowQuestion()), []string{"id.example", "Ward & Theatre", "4821", "Dr Asha Smith", "Tries left: 2", "not right", "12 days", "Passcode"}, []uint16{idField, idOK, idCancel}},
		"last try": {warning(aWindowQuestion()), []string{"id.example", "One try left"}, []uint16{idOK, idCancel}},
		"cards":    {choosing(aWindowQuestion(), []string{"Asha", "Ben"}), []string{"More than one card", "4821"}, []uint16{idField, idOK, idCancel}},
		"words":    {telling("cy", "Rhowch eich cerdyn."), []string{"Rhowch eich cerdyn."}, []uint16{idOK}},
	} {
		m, err := readTemplate(tt.form.template(font{9, "Segoe UI"}, typewriter))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var texts []string
		var ids []uint16
		for _, c := range m.controls {
			if c.class == classText {
				texts = append(texts, c.text)
			} else {
				ids = append(ids, c.id)
			}
		}
		t.Run("own rule: the window says all that the person has to know: "+name, func(t *testing.T) {
			for _, s := range tt.says {
				if !strings.Contains(strings.Join(texts, "\n"), s) {
					t.Errorf("%q lacks %q", texts, s)
				}
			}
			if m.title != "Lanyard" || m.face != "Segoe UI" || m.points != 9 {
				t.Errorf("%+v", m)
			}
		})
		t.Run("own rule: the keyboard goes from what is filled in to OK to Cancel: "+name, func(t *testing.T) {
			if !slices.Equal(ids, tt.ids) {
				t.Errorf("in the order %v, want %v", ids, tt.ids)
			}
			for _, c := range m.controls {
				if c.class != classText && c.style&styleTab == 0 {
					t.Errorf("%+v cannot be reached", c)
				}
			}
		})
		t.Run("own rule: nothing lies on anything else, or outside: "+name, func(t *testing.T) {
			for i, a := range m.controls {
				if a.x < margin || a.y < margin || a.x+a.w > m.width-margin || a.y+a.h > m.high-margin || a.w <= 0 || a.h <= 0 {
					t.Errorf("%+v is outside of %d x %d", a, m.width, m.high)
				}
				for _, b := range m.controls[i+1:] {
					if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
						t.Errorf("%+v lies on %+v", a, b)
					}
				}
			}
		})
	}
	t.Run("own rule: a passcode is not shown, and nothing can be agreed to before there is one", func(t *testing.T) {
		m, err := readTemplate(asking(aWindowQuestion()).template(font{9, "Segoe UI"}, typewriter))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range m.controls {
			if c.id == idField && c.style&0x20 == 0 {
				t.Error("what is typed is shown")
			}
			if c.id == idOK && c.style&styleDisabled == 0 {
				t.Error("OK can be pressed")
			}
		}
	})
	t.Run("own rule: the time that is left is counted down to nothing", func(t *testing.T) {
		f := asking(aWindowQuestion())
		for before, want := range map[int64]string{299: "4:59", 60: "1:00", 9: "0:09", 0: "0:00", -5: "0:00"} {
			if got := f.timeLeft(time.Unix(1000-before, 0)); got != "Time left: "+want {
				t.Errorf("%d seconds: %q", before, got)
			}
		}
	})
}

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"Dr Asha Smith":           "Dr Asha Smith",
		"a\x00b\r\nc\td":          "a b \nc d",
		"\u202eevil\u2066":        " evil ",
		"\xff":                    "\uFFFD",
		strings.Repeat("w", 100):  strings.Repeat("w", 40) + "\n" + strings.Repeat("w", 40) + "\n" + strings.Repeat("w", 20),
		strings.Repeat("w ", 999): strings.Repeat("w ", 200) + "...",
	} {
		t.Run("own rule: what others wrote is shown as text and no more: "+want[:min(20, len(want))], func(t *testing.T) {
			if got := shown(text); got != want {
				t.Errorf("shown() = %q, want %q", got, want)
			}
		})
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("Dr Asha Smith", "Ward & Theatre", "", "Your card ends in 12 days.")
	f.Add("a\x00b", "\u202e", strings.Repeat("w", 2000), "\n\n\n")
	f.Fuzz(func(t *testing.T, holder, application, wrong, notice string) {
		q := aWindowQuestion()
		q.Holder, q.Application, q.Wrong, q.Notices = holder, application, wrong, slices.Repeat([]string{notice}, 9)
		for _, form := range []form{asking(q), warning(q), choosing(q, []string{holder, application}), telling("en", notice)} {
			controls, height := form.controls(typewriter)
			m, err := readTemplate(form.template(font{9, holder}, typewriter))
			if err != nil || len(m.controls) != len(controls) || height > 600 {
				t.Fatalf("%v; %d controls of %d; %d high", err, len(m.controls), len(controls), height)
			}
			for i, c := range m.controls {
				if c.id != controls[i].id || c.text != controls[i].text {
					t.Errorf("%+v, want %+v", c, controls[i])
				}
			}
		}
	})
}
