package virtualreader

import "encoding/binary"

// What a reader asks of the card itself, and the command that tries a passcode.
const (
	sendATR = 4
	verify  = 0x20
)

// listener is a cable on which what reader and card say is heard.
type listener struct {
	*cable
	hear func(func(*Heard))

	asked, answered []byte // what has come of a message, after its length of two bytes
	tries           bool   // the last command tries a passcode
}

// Read implements io.Reader: what the reader asks.
func (l *listener) Read(b []byte) (int, error) {
	n, err := l.cable.Read(b)
	l.asked = each(append(l.asked, b[:n]...), func(m []byte) {
		l.tries = len(m) > 5 && m[1] == verify && m[2] == 0
		l.hear(func(h *Heard) {
			switch {
			case len(m) == 1 && m[0] == sendATR:
				h.Looks++
			case len(m) == 1:
				h.Trusts = false // the power went, or came
			default:
				h.Commands++
				h.Trusts = h.Trusts && (len(m) < 3 || m[1] != verify || m[2] != 0xFF)
			}
		})
	})
	return n, err
}

// Write implements io.Writer: what the card answers.
func (l *listener) Write(b []byte) (int, error) {
	l.answered = each(append(l.answered, b...), func(m []byte) {
		if l.tries && len(m) == 2 && m[0] == 0x90 && m[1] == 0 {
			l.hear(func(h *Heard) { h.Trusts = true })
		}
	})
	return l.cable.Write(b)
}

// each takes whole messages from the beginning of b, and returns the rest.
func each(b []byte, take func([]byte)) []byte {
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			break
		}
		take(b[2 : 2+n])
		b = b[2+n:]
	}
	return b
}
