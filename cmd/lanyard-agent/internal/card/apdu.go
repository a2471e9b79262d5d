package card

import (
	"fmt"
	"slices"
)

// connection is a card in a reader, as a system's service for readers lends it.
// Its errors find ErrRemoved when the card or the reader is gone.
type connection interface {
	// Begin keeps other programs from the card until End.
	Begin() error

	// Transmit sends one command and returns data and status word.
	Transmit(command []byte) ([]byte, error)

	// End lets other programs in again, after a reset of the card if reset.
	End(reset bool) error

	// T0 says whether the card speaks T=0, and not T=1.
	T0() bool

	// Close lets go of the card.
	Close() error
}

// word is the status word of an answer (ISO 7816-4 §5.1.3).
type word uint16

const (
	swOK         word = 0x9000
	swNoSecurity word = 0x6982
	swBlocked    word = 0x6983
	swNotNow     word = 0x6985
	swWrong      word = 0x6A80
	swNotFound   word = 0x6A82
)

// Error says what the card said, for logs: people are told what it means.
func (w word) Error() string { return fmt.Sprintf("the card answered %04X", uint16(w)) }

// maxPart is how many bytes a short command brings.
const maxPart = 255

// exchange sends a command of any length and gathers the whole answer. answers
// says that data are expected.
func exchange(c connection, ins, p1, p2 byte, data []byte, answers bool) ([]byte, word, error) {
	for len(data) > maxPart {
		// ISO 7816-4 §5.1.1: the class says that there is more to come.
		_, sw, err := once(c, slices.Concat([]byte{0x10, ins, p1, p2, maxPart}, data[:maxPart]))
		if err != nil || sw != swOK {
			return nil, sw, err
		}
		data = data[maxPart:]
	}
	return gather(c, lengths([]byte{0, ins, p1, p2}, data, answers, c.T0()))
}

// lengths puts data and lengths after the head of a command. T=0 always has one
// length, and none of the answer after data (ISO 7816-3 §12.1.1).
func lengths(head, data []byte, answers, t0 bool) []byte {
	switch {
	case len(data) == 0 && (answers || t0):
		return append(head, 0)
	case len(data) == 0:
		return head
	}
	whole := slices.Concat(head, []byte{byte(len(data))}, data) //nolint:gosec // maxPart at most
	if answers && !t0 {
		whole = append(whole, 0)
	}
	return whole
}

// maxParts bounds the parts of an answer, where each has one byte or more.
const maxParts = 256

// gather sends a command and asks for the rest of its answer as long as there
// is one.
func gather(c connection, command []byte) ([]byte, word, error) {
	var all []byte
	for range maxParts {
		head := [4]byte(command)
		short := len(command) == 5
		data, sw, err := once(c, command)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, data...)
		switch rest := byte(sw); { //nolint:gosec // its lower half
		case sw>>8 == 0x61: // so much more is there
			command = []byte{0, 0xC0, 0, 0, rest}
		case sw>>8 == 0x6C && short: // so much has to be asked for
			command = append(head[:], rest)
		default:
			return all, sw, nil
		}
	}
	return nil, 0, fmt.Errorf("%w: its answer has no end", ErrUnreadable)
}

// once sends a command and forgets it: there may be a passcode in it.
func once(c connection, command []byte) ([]byte, word, error) {
	answer, err := c.Transmit(command)
	clear(command)
	if err != nil {
		return nil, 0, err
	}
	n := len(answer) - 2
	if n < 0 {
		return nil, 0, fmt.Errorf("%w: its answer is cut short", ErrUnreadable)
	}
	return answer[:n], word(answer[n])<<8 | word(answer[n+1]), nil
}

// field returns the value of a tag among the fields of b, and whether it is
// there (ISO 7816-4 §5.2.2). Tags of one byte are enough for PIV.
func field(b []byte, tag byte) ([]byte, bool) {
	for len(b) >= 2 {
		n, head := int(b[1]), 2
		switch {
		case n == 0x81 && len(b) > 2:
			n, head = int(b[2]), 3
		case n == 0x82 && len(b) > 3:
			n, head = int(b[2])<<8|int(b[3]), 4
		case n >= 0x80:
			return nil, false
		}
		if len(b) < head+n {
			return nil, false
		}
		if b[0] == tag {
			return b[head : head+n], true
		}
		b = b[head+n:]
	}
	return nil, false
}
