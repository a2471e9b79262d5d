package prompt

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
)

// person sits at the desk: they type into windows, and press buttons.
type person struct{ t *testing.T }

const (
	msgLetter   = 0x0102
	buttonClick = 0x00F5
	listChoose  = 0x0186
	listText    = 0x0189
)

// window waits for a window of ours that is shown, and so is ready.
func (p person) window() uintptr {
	p.t.Helper()
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		at, _, _ := user32.NewProc("FindWindowW").Call(uintptr(unsafe.Pointer(utf16Of("#32770"))), uintptr(unsafe.Pointer(utf16Of("Lanyard"))))
		seen, _, _ := user32.NewProc("IsWindowVisible").Call(at)
		windowsMu.Lock()
		_, ours := windowsOpen[at]
		windowsMu.Unlock()
		if ours && seen != 0 {
			return at
		}
	}
	p.t.Fatal("there is no window")
	return 0
}

func (p person) types(at uintptr, text string) {
	for _, unit := range utf16.Encode([]rune(text)) {
		_, _, _ = procSend.Call(item(at, idField), msgLetter, uintptr(unit), 0)
	}
}

func (p person) presses(at, button uintptr) {
	_, _, _ = procPost.Call(item(at, button), buttonClick, 0, 0)
}

func (p person) may(at, button uintptr) bool {
	enabled, _, _ := user32.NewProc("IsWindowEnabled").Call(item(at, button))
	return enabled != 0
}

func read(at, id uintptr) string {
	var text [1000]uint16
	_, _, _ = procGetItemText.Call(at, id, uintptr(unsafe.Pointer(&text)), uintptr(len(text)))
	return windows.UTF16ToString(text[:])
}

func TestDesktop(t *testing.T) {
	if made, _, _ := user32.NewProc("GetSystemMetrics").Call(0); made == 0 || os.Getenv("LANYARD_TEST_DESKTOP") == "no" {
		t.Skip("there is no desktop")
	}
	p := person{t}
	now := time.Now()
	d := Desktop{Now: func() time.Time { return now }}
	q := Question{Language: "en", Service: "id.example", Application: "Ward & Theatre", Code: "4821", Holder: "Dr Asha Smith", TriesLeft: 3, Until: now.Add(299 * time.Second)}
	type got struct {
		answer []byte
		chosen int
		err    error
	}
	ask := func(ctx context.Context, q Question) chan got {
		c := make(chan got, 1)
		go func() { b, err := d.Ask(ctx, q); c <- got{answer: b, err: err} }()
		return c
	}
	t.Run("own rule: what is typed into the window is the answer", func(t *testing.T) {
		c := ask(t.Context(), q)
		at := p.window()
		if p.may(at, idOK) {
			t.Error("nothing can be agreed to")
		}
		_, _, _ = procSend.Call(at, msgCommand, idOK, item(at, idOK)) // as Enter does
		p.types(at, "12345é😀")
		if left := read(at, idLeft); left != "Time left: 4:59" {
			t.Errorf("it says %q", left)
		}
		if !p.may(at, idOK) {
			t.Error("what was typed cannot be agreed to")
		}
		p.presses(at, idOK)
		if g := <-c; g.err != nil || string(g.answer) != "12345é😀" {
			t.Errorf("Ask() = %q, %v", g.answer, g.err)
		}
	})
	t.Run("own rule: who presses Cancel, or closes the window, turns away", func(t *testing.T) {
		for _, does := range []func(at uintptr){
			func(at uintptr) { p.presses(at, idCancel) },
			func(at uintptr) { _, _, _ = procPost.Call(at, 0x0010, 0, 0) },
		} {
			c := ask(t.Context(), q)
			at := p.window()
			p.types(at, "123456")
			does(at)
			if g := <-c; !errors.Is(g.err, ErrCancelled) || g.answer != nil {
				t.Errorf("Ask() = %q, %v", g.answer, g.err)
			}
		}
	})
	t.Run("own rule: a window ends with who asks, whether it is there yet or not", func(t *testing.T) {
		for _, after := range []time.Duration{0, time.Microsecond, 30 * time.Millisecond, 300 * time.Millisecond} {
			ctx, stop := context.WithTimeout(t.Context(), after)
			if g := <-ask(ctx, q); !errors.Is(g.err, context.DeadlineExceeded) || g.answer != nil {
				t.Errorf("after %v: Ask() = %q, %v", after, g.answer, g.err)
			}
			stop()
		}
	})
	t.Run("own rule: before the last try the person is asked whether to use it", func(t *testing.T) {
		last := q
		last.TriesLeft = 1
		c := ask(t.Context(), last)
		at := p.window()
		if item(at, idField) != 0 || read(at, idOK) != "Use the last try" {
			t.Errorf("the button says %q", read(at, idOK))
		}
		p.presses(at, idOK)
		for item(at, idField) == 0 {
			at = p.window()
		}
		p.types(at, "123456")
		p.presses(at, idOK)
		if g := <-c; g.err != nil || string(g.answer) != "123456" {
			t.Errorf("Ask() = %q, %v", g.answer, g.err)
		}
	})
	t.Run("own rule: of several cards the one that is picked is meant", func(t *testing.T) {
		c := make(chan got, 1)
		go func() {
			i, err := d.Choose(t.Context(), q, []string{"Asha", "Ben\x00\nBoth", "Cas"})
			c <- got{chosen: i, err: err}
		}()
		at := p.window()
		list := item(at, idField)
		var text [100]uint16
		_, _, _ = procSend.Call(list, listText, 1, uintptr(unsafe.Pointer(&text)))
		if s := windows.UTF16ToString(text[:]); s != "Ben  Both" || p.may(at, idOK) {
			t.Errorf("it lists %q", s)
		}
		_, _, _ = procSend.Call(list, listChoose, 1, 0)
		_, _, _ = procSend.Call(at, msgCommand, listPicked<<16|idField, list) // as the list does when somebody picks
		p.presses(at, idOK)
		if g := <-c; g.err != nil || g.chosen != 1 {
			t.Errorf("Choose() = %d, %v", g.chosen, g.err)
		}
	})
	t.Run("own rule: words are there until they are read, or nobody wants them shown", func(t *testing.T) {
		told := make(chan error, 1)
		go func() { told <- d.Tell(t.Context(), "cy", "Rhowch eich cerdyn yn y darllenydd.") }()
		p.presses(p.window(), idOK)
		if err := <-told; err != nil {
			t.Errorf("Tell() = %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { told <- d.Tell(ctx, "en", "Insert your card.") }()
		p.window()
		stop()
		if err := <-told; !errors.Is(err, context.Canceled) {
			t.Errorf("Tell() = %v", err)
		}
	})
	t.Run("own rule: a window that has ended is forgotten", func(t *testing.T) {
		windowsMu.Lock()
		defer windowsMu.Unlock()
		if len(windowsOpen) != 0 {
			t.Errorf("%d windows are known", len(windowsOpen))
		}
	})
}
