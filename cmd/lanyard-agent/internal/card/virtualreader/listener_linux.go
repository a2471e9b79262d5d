package virtualreader

import "encoding/binary"

// listener is a cable on which what reader and card say is heard.
type listener struct {
	*cable
	trust func(bool)

	asked, answered []byte // what has come of a message, after its length of two bytes
	tries           bool   // the last command tries a passcode
}

// Read implements io.Reader: what the reader asks.
func (l *listener) Read(b []byte) (int, error) {
	n, err := l.cable.Read(b)
	l.asked = each(append(l.asked, b[:n]...), func(m []byte) {
		l.tries = len(m) > 5 && m[1] == 0x20 && m[2] == 0
		if len(m) == 1 && m[0] <= 2 || len(m) > 2 && m[1] == 0x20 && m[2] == 0xFF { // the power, or forgetting
			l.trust(false)
		}
	})
	return n, err
}

// Write implements io.Writer: what the card answers.
func (l *listener) Write(b []byte) (int, error) {
	l.answered = each(append(l.answered, b...), func(m []byte) {
		if l.tries && len(m) == 2 && m[0] == 0x90 && m[1] == 0 {
			l.trust(true)
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
