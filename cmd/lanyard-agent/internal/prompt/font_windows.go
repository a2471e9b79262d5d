package prompt

import (
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
)

// logFont is LOGFONTW.
type logFont struct {
	Height int32
	_      [4]int32
	_      [8]byte
	Face   [32]uint16
}

// metrics is NONCLIENTMETRICSW, of which one font is for messages.
type metrics struct {
	Size    uint32
	_       [404]byte // of captions, menus and bars
	Message logFont
	_       int32
}

// rectangle is RECT.
type rectangle struct{ Left, Top, Right, Bottom int32 }

// usual is the font of a system that does not say which it has.
var usual = font{points: 9, face: "Segoe UI"}

const (
	getMetrics  = 0x0029 // SPI_GETNONCLIENTMETRICS
	dotsPerInch = 90     // LOGPIXELSY
	pointsAt    = 72     // of an inch
	screenDots  = 96     // of an inch, as Windows counts without enlargement

	drawBreaks   = 0x0010
	drawMeasures = 0x0400
	drawPlain    = 0x0800
)

// measure returns the font that the person has chosen for messages, and what
// measures text in it, until done.
func measure() (in font, high func(text string, width int) int, done func()) {
	screen, _, _ := procGetDC.Call(0)
	f, log := messageFont(screen)
	made, _, _ := procCreateFont.Call(uintptr(unsafe.Pointer(&log)))
	before, _, _ := procSelectObject.Call(screen, made)
	unitX, unitY := units(screen)
	high = func(text string, width int) int {
		room := rectangle{Right: int32(width * unitX / 4)}
		t := append(utf16.Encode([]rune(text)), 0)
		_, _, _ = procDrawText.Call(screen, uintptr(unsafe.Pointer(unsafe.SliceData(t))), ^uintptr(0), uintptr(unsafe.Pointer(&room)), drawMeasures|drawBreaks|drawPlain)
		return (int(room.Bottom)*8 + unitY - 1) / unitY
	}
	return f, high, func() {
		_, _, _ = procSelectObject.Call(screen, before)
		_, _, _ = procDeleteObject.Call(made)
		_, _, _ = procReleaseDC.Call(0, screen)
	}
}

// messageFont asks for the font at the usual size of a screen: windows grow it
// to the screen that they are on.
func messageFont(screen uintptr) (font, logFont) {
	m := metrics{}
	m.Size = uint32(unsafe.Sizeof(m))
	dots := uintptr(screenDots)
	ok := uintptr(0)
	if procParametersAt.Find() == nil {
		ok, _, _ = procParametersAt.Call(getMetrics, uintptr(m.Size), uintptr(unsafe.Pointer(&m)), 0, screenDots)
	}
	if ok == 0 {
		if dots, _, _ = procDeviceCaps.Call(screen, dotsPerInch); dots == 0 {
			dots = screenDots
		}
		ok, _, _ = procParameters.Call(getMetrics, uintptr(m.Size), uintptr(unsafe.Pointer(&m)), 0)
	}
	face := windows.UTF16ToString(m.Message.Face[:])
	if ok == 0 || m.Message.Height >= 0 || face == "" {
		log := logFont{Height: -int32(usual.points * screenDots / pointsAt)}
		copy(log.Face[:len(log.Face)-1], utf16.Encode([]rune(usual.face)))
		return usual, log
	}
	return font{points: (-int(m.Message.Height)*pointsAt + int(dots)/2) / int(dots), face: face}, m.Message
}

// units are the width of a usual letter and the height of a line, which a
// window's units are a quarter and an eighth of.
func units(screen uintptr) (x, y int) {
	letters := utf16.Encode([]rune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
	var size struct{ Width, Height int32 }
	_, _, _ = procTextExtent.Call(screen, uintptr(unsafe.Pointer(unsafe.SliceData(letters))), uintptr(len(letters)), uintptr(unsafe.Pointer(&size)))
	return max(1, (int(size.Width)/26+1)/2), max(1, int(size.Height))
}
