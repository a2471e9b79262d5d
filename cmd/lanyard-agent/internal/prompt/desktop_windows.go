package prompt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Desktop speaks with the person in windows of the desktop.
type Desktop struct{ Now func() time.Time }

// Ask implements Prompt.
func (d Desktop) Ask(ctx context.Context, q Question) ([]byte, error) {
	if q.TriesLeft == lastTry {
		if _, err := d.show(ctx, warning(q)); err != nil {
			return nil, err
		}
	}
	a, err := d.show(ctx, asking(q))
	return a.secret, err
}

// Choose implements Prompt.
func (d Desktop) Choose(ctx context.Context, q Question, holders []string) (int, error) {
	a, err := d.show(ctx, choosing(q, holders))
	if err == nil && (a.item < 0 || a.item >= len(holders)) {
		err = errors.New("window: nothing was chosen")
	}
	return a.item, err
}

// Tell implements Prompt. A window that was closed was read.
func (d Desktop) Tell(ctx context.Context, language, words string) error {
	_, err := d.show(ctx, telling(language, words))
	if errors.Is(err, ErrCancelled) {
		return nil
	}
	return err
}

// answer is what was filled in.
type answer struct {
	secret []byte
	item   int
}

// What a window ends with, beside idOK and idCancel.
const endGone = 3

// show shows a form until it is answered or ctx is done. The window has a thread
// of its own, as its messages come to the thread that made it.
func (d Desktop) show(ctx context.Context, f form) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	w := &window{form: f, now: d.Now}
	var end uintptr
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: what was set for the thread ends with it
		end, failed = w.run()
	}()
	stop := context.AfterFunc(ctx, w.close)
	<-done
	stop()
	switch {
	case end == idOK:
		return w.answer, nil
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case end == idCancel:
		return answer{}, ErrCancelled
	}
	return answer{}, fmt.Errorf("window: %w", failed)
}

// Functions of the desktop.
var (
	user32 = windows.NewLazySystemDLL("user32.dll")
	gdi32  = windows.NewLazySystemDLL("gdi32.dll")

	procDialogBox       = user32.NewProc("DialogBoxIndirectParamW")
	procDrawText        = user32.NewProc("DrawTextW")
	procEnableWindow    = user32.NewProc("EnableWindow")
	procEndDialog       = user32.NewProc("EndDialog")
	procFlashWindow     = user32.NewProc("FlashWindow")
	procGetDC           = user32.NewProc("GetDC")
	procGetDlgItem      = user32.NewProc("GetDlgItem")
	procGetItemText     = user32.NewProc("GetDlgItemTextW")
	procParameters      = user32.NewProc("SystemParametersInfoW")
	procParametersAt    = user32.NewProc("SystemParametersInfoForDpi") // since Windows 10 of 2016
	procPost            = user32.NewProc("PostMessageW")
	procReleaseDC       = user32.NewProc("ReleaseDC")
	procSend            = user32.NewProc("SendMessageW")
	procSetFocus        = user32.NewProc("SetFocus")
	procSetForeground   = user32.NewProc("SetForegroundWindow")
	procSetItemText     = user32.NewProc("SetDlgItemTextW")
	procSetTimer        = user32.NewProc("SetTimer")
	procThreadAwareness = user32.NewProc("SetThreadDpiAwarenessContext") // likewise

	procCreateFont   = gdi32.NewProc("CreateFontIndirectW")
	procDeleteObject = gdi32.NewProc("DeleteObject")
	procDeviceCaps   = gdi32.NewProc("GetDeviceCaps")
	procSelectObject = gdi32.NewProc("SelectObject")
	procTextExtent   = gdi32.NewProc("GetTextExtentPoint32W")
)

// Messages, and what they ask of controls.
const (
	msgLength  = 0x000E
	msgLast    = 0x0082
	msgInit    = 0x0110
	msgCommand = 0x0111
	msgTimer   = 0x0113
	msgGone    = 0x8001 // ours: nobody waits for an answer any more

	editLimit   = 0x00C5
	editForget  = 0x00CD // what could be undone
	editHide    = 0x00CC
	editChanged = 0x0300
	listAdd     = 0x0180
	listChosen  = 0x0188
	listPicked  = 1
	listTwice   = 2
)

// maxTyped is how much can be typed. It is more than any passcode has: one that
// was cut short would cost a try.
const maxTyped = 64

// window is a form on the desktop.
type window struct {
	form   form
	now    func() time.Time
	answer answer

	mu   sync.Mutex
	at   uintptr // its handle; 0 when there is none
	over bool    // nobody waits for an answer any more
}

// Windows come to know themselves by the number that they are made with, and
// then by their handles.
var (
	windowsMu   sync.Mutex
	windowsMade uintptr
	windowsOpen = map[uintptr]*window{}
	procedure   = sync.OnceValue(func() uintptr { return windows.NewCallback(received) })
)

// run shows the window until it ends, and returns with what. The thread is its
// own.
func (w *window) run() (uintptr, error) {
	if procThreadAwareness.Find() == nil {
		_, _, _ = procThreadAwareness.Call(^uintptr(3)) // of each screen: sharp letters on all
	}
	in, high, done := measure()
	template := w.form.template(in, high)
	done()

	windowsMu.Lock()
	windowsMade++
	number := windowsMade
	windowsOpen[number] = w
	windowsMu.Unlock()
	end, _, err := procDialogBox.Call(0, uintptr(unsafe.Pointer(unsafe.SliceData(template))), 0, procedure(), number)
	windowsMu.Lock()
	delete(windowsOpen, number)
	windowsMu.Unlock()
	w.mu.Lock()
	w.at = 0
	w.mu.Unlock()
	return end, err
}

// close ends the window: nobody waits for an answer any more.
func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.at != 0 {
		_, _, _ = procPost.Call(w.at, msgGone, 0, 0)
	}
}

// received is what Windows calls with each message to a window. It returns
// whether nothing more has to be done about it.
func received(at, message, wide, long uintptr) uintptr {
	windowsMu.Lock()
	if message == msgInit {
		windowsOpen[at] = windowsOpen[long]
	}
	w := windowsOpen[at]
	if message == msgLast {
		delete(windowsOpen, at)
	}
	windowsMu.Unlock()
	if w == nil {
		return 0
	}
	switch message {
	case msgInit:
		w.begin(at)
		return 0 // the focus is set
	case msgTimer:
		w.tick(at)
	case msgGone:
		w.end(at, endGone)
	case msgCommand:
		return w.command(at, wide&0xFFFF, wide>>16&0xFFFF)
	default:
		return 0
	}
	return 1
}

// begin makes the window ready.
func (w *window) begin(at uintptr) {
	w.mu.Lock()
	w.at = at
	over := w.over
	w.mu.Unlock()
	if over {
		w.end(at, endGone)
		return
	}
	focus := item(at, idOK)
	switch w.form.field {
	case secretField:
		focus = item(at, idField)
		_, _, _ = procSend.Call(focus, editLimit, maxTyped, 0)
		_, _, _ = procSend.Call(focus, editHide, '●', 0)
	case listField:
		focus = item(at, idField)
		for _, i := range w.form.items {
			text := utf16Of(strings.ReplaceAll(shown(i), "\n", " "))
			_, _, _ = procSend.Call(focus, listAdd, 0, uintptr(unsafe.Pointer(text)))
		}
	case noField:
	}
	if w.form.left != "" {
		w.tick(at)
		_, _, _ = procSetTimer.Call(at, 1, 1000, 0)
	}
	_, _, _ = procSetFocus.Call(focus)
	if came, _, _ := procSetForeground.Call(at); came == 0 {
		_, _, _ = procFlashWindow.Call(at, 1) // Windows lets no program push itself before others
	}
}

// tick shows how much time is left.
func (w *window) tick(at uintptr) {
	_, _, _ = procSetItemText.Call(at, idLeft, uintptr(unsafe.Pointer(utf16Of(w.form.timeLeft(w.now())))))
}

// command is what the person did to a control.
func (w *window) command(at, id, what uintptr) uintptr {
	switch {
	case id == idCancel:
		w.end(at, idCancel)
	case id == idOK, id == idField && w.form.field == listField && what == listTwice:
		if w.take(at) {
			w.end(at, idOK)
		}
	case id == idField && (what == editChanged && w.form.field == secretField || what == listPicked && w.form.field == listField):
		enabled := uintptr(0)
		if w.filled(at) {
			enabled = 1
		}
		_, _, _ = procEnableWindow.Call(item(at, idOK), enabled)
	default:
		return 0
	}
	return 1
}

// end closes the window. What was typed is overwritten where it was.
func (w *window) end(at, with uintptr) {
	if w.form.field == secretField {
		typed := item(at, idField)
		n, _, _ := procSend.Call(typed, msgLength, 0, 0)
		blank := utf16Of(strings.Repeat(" ", min(int(n), maxTyped))) // as long, so that it stays in its place
		_, _, _ = procSetItemText.Call(at, idField, uintptr(unsafe.Pointer(blank)))
		_, _, _ = procSend.Call(typed, editForget, 0, 0)
	}
	_, _, _ = procEndDialog.Call(at, with)
}

// filled says whether there is an answer.
func (w *window) filled(at uintptr) bool {
	switch w.form.field {
	case secretField:
		n, _, _ := procSend.Call(item(at, idField), msgLength, 0, 0)
		return n != 0
	case listField:
		n, _, _ := procSend.Call(item(at, idField), listChosen, 0, 0)
		return int32(n) >= 0
	case noField:
	}
	return true
}

// take reads the answer, and says whether there is one.
func (w *window) take(at uintptr) bool {
	if !w.filled(at) {
		return false
	}
	switch w.form.field {
	case secretField:
		var typed [maxTyped + 1]uint16
		n, _, _ := procGetItemText.Call(at, idField, uintptr(unsafe.Pointer(&typed)), uintptr(len(typed)))
		w.answer.secret = bytesOf(typed[:min(int(n), maxTyped)])
		clear(typed[:])
	case listField:
		n, _, _ := procSend.Call(item(at, idField), listChosen, 0, 0)
		w.answer.item = int(int32(n))
	case noField:
	}
	return true
}

// bytesOf is text in UTF-8. No copy is made that nobody could wipe.
func bytesOf(text []uint16) []byte {
	b := make([]byte, 0, utf8.UTFMax*len(text))
	for i := 0; i < len(text); i++ {
		r := rune(text[i])
		if utf16.IsSurrogate(r) && i+1 < len(text) {
			i++
			r = utf16.DecodeRune(r, rune(text[i]))
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

func item(at, id uintptr) uintptr {
	h, _, _ := procGetDlgItem.Call(at, id)
	return h
}

// utf16Of is text as Windows reads it. It has no noughts inside.
func utf16Of(text string) *uint16 {
	return unsafe.SliceData(append(utf16.Encode([]rune(text)), 0))
}
