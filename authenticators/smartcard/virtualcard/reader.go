package virtualcard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What a virtual reader asks of a card that is no command.
const (
	powerOff  = 0
	powerOn   = 1
	resetCard = 2
	sendATR   = 4
)

// Insert puts the card into a virtual reader, the one of vsmartcard (vpcd): a
// connection to its port is the card inside, and its end is the card taken out.
// Insert returns when ctx is done, or when the reader is no more, and closes
// the connection.
func (c *Card) Insert(ctx context.Context, reader io.ReadWriteCloser) error {
	out := context.AfterFunc(ctx, func() { _ = reader.Close() })
	defer func() {
		if out() {
			_ = reader.Close()
		}
	}()
	powered := c.Power()
	for {
		message, err := receive(reader)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return ctx.Err()
			}
			return fmt.Errorf("virtual reader: %w", err)
		}
		answer := powered.handle(message)
		if answer == nil {
			continue
		}
		if _, err := reader.Write(framed(answer)); err != nil && ctx.Err() == nil {
			return fmt.Errorf("virtual reader: %w", err)
		}
	}
}

// handle answers what a reader sends; nil is no answer. One byte alone is about
// the power, and no command is so short.
func (p *Powered) handle(message []byte) []byte {
	if len(message) != 1 {
		return p.Process(message)
	}
	switch message[0] {
	case powerOff, powerOn, resetCard:
		p.Reset()
	case sendATR:
		return p.card.is.ATR
	}
	return nil
}

// receive reads a message after its length of two bytes, which bounds it.
func receive(reader io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(reader, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(reader, message)
	return message, err
}

func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...) //nolint:gosec // an answer has 258 bytes at most
}
