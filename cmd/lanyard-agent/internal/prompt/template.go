package prompt

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// A window of Windows is made from a template of bytes (DLGTEMPLATE), which says
// where each control is, in units that grow with the font.

// What controls are called.
const (
	idOK     = 1
	idCancel = 2
	idLeft   = 100
	idField  = 101
	idText   = 0xFFFF // nobody asks for it again
)

// Classes of controls.
const (
	classButton = 0x0080
	classEdit   = 0x0081
	classText   = 0x0082
	classList   = 0x0083
)

// Styles of windows and controls.
const (
	styleChild    = 0x40000000
	styleVisible  = 0x10000000
	styleDisabled = 0x08000000
	styleBorder   = 0x00800000
	styleScroll   = 0x00200000 // up and down
	styleTab      = 0x00010000
	styleGroup    = 0x00020000

	windowStyle = 0x80000000 | 0x00C00000 | 0x00080000 | styleVisible | // a popup with a caption and a cross
		0x0040 | 0x0080 | 0x0200 | 0x0800 // with a font and a frame; in front of others, in the middle
	windowOnTop = 0x00000008 | 0x00040000 // and in the task bar

	textPlain     = 0x0080 // & is a letter
	editSecret    = 0x0020 | 0x0080
	listTold      = 0x0001 | 0x0100 // of what is picked; of any height
	buttonDefault = 0x0001
)

// control is a control of a window, with its place in units of the font.
type control struct {
	class, id  uint16
	style      uint32
	x, y, w, h int
	text       string
}

// Sizes, as Windows has them in its own windows.
const (
	wide      = 240 // inside the margins
	margin    = 7
	gap       = 4
	slack     = 8 // windows round the size of letters
	lineHigh  = 8
	fieldHigh = 14
	itemsHigh = 6 // so many are seen at once
	letter    = 4 // the width of a usual one
)

// controls puts what is in a form below each other. high says how high a text
// is that is so wide.
func (f form) controls(high func(text string, width int) int) (all []control, height int) {
	y := margin
	text := func(id uint16, words string) {
		if words = shown(words); words == "" {
			return
		}
		h := max(lineHigh, high(words, wide-slack))
		all = append(all, control{class: classText, id: id, style: textPlain, x: margin, y: y, w: wide, h: h, text: words})
		y += h + gap
	}
	for _, t := range f.texts {
		text(idText, t)
	}
	if f.field != noField {
		text(idText, f.label)
	}
	switch f.field {
	case secretField:
		all = append(all, control{class: classEdit, id: idField, style: editSecret | styleBorder | styleTab | styleGroup, x: margin, y: y, w: wide / 2, h: fieldHigh})
		y += fieldHigh + gap
	case listField:
		h := lineHigh*min(max(len(f.items), 2), itemsHigh) + gap
		all = append(all, control{class: classList, id: idField, style: listTold | styleBorder | styleScroll | styleTab | styleGroup, x: margin, y: y, w: wide, h: h})
		y += h + gap
	case noField:
	}
	if f.left != "" {
		text(idLeft, f.timeLeft(f.until))
	}
	return append(all, f.buttons(y+gap)...), y + gap + fieldHigh + margin
}

// buttons stand at the right, in the order in which they are read. What there is
// to fill in is filled in before there is anything to agree to.
func (f form) buttons(y int) []control {
	ok := control{class: classButton, id: idOK, style: buttonDefault | styleTab | styleGroup, y: y, text: shown(f.ok)}
	if f.field != noField {
		ok.style |= styleDisabled
	}
	all := []control{ok}
	if f.cancel != "" {
		all = append(all, control{class: classButton, id: idCancel, style: styleTab, y: y, text: shown(f.cancel)})
	}
	x := margin + wide
	for i := len(all) - 1; i >= 0; i-- {
		c := &all[i]
		c.w, c.h = max(50, letter*utf8.RuneCountInString(c.text)+4*gap), fieldHigh
		x -= c.w
		c.x = x
		x -= gap
	}
	return all
}

// font is what a window is written in.
type font struct {
	points int
	face   string
}

// template is the form in bytes.
func (f form) template(in font, high func(text string, width int) int) []byte {
	controls, height := f.controls(high)
	var b []byte
	number := func(n ...int) {
		for _, v := range n {
			b = binary.LittleEndian.AppendUint16(b, uint16(v)) //nolint:gosec // ours, and far smaller
		}
	}
	text := func(t string) {
		for _, unit := range utf16.Encode([]rune(t)) {
			b = binary.LittleEndian.AppendUint16(b, unit)
		}
		number(0)
	}
	b = binary.LittleEndian.AppendUint32(b, windowStyle)
	b = binary.LittleEndian.AppendUint32(b, windowOnTop)
	number(len(controls), 0, 0, wide+2*margin, height)
	number(0, 0) // no menu, and the usual class
	text(shown(f.title))
	number(in.points)
	text(shown(in.face))
	for _, c := range controls {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		b = binary.LittleEndian.AppendUint32(b, c.style|styleChild|styleVisible)
		b = binary.LittleEndian.AppendUint32(b, 0)
		number(c.x, c.y, c.w, c.h, int(c.id), 0xFFFF, int(c.class))
		text(c.text)
		number(0) // nothing more for the control
	}
	return b
}
