package card

import (
	"context"
	"errors"
	"fmt"
	"io"
)

type establishing struct {
	Scope, Context uint32
	Outcome        outcome
}

type connecting struct {
	Context  uint32
	Reader   [128]byte
	Share    uint32
	Offered  uint32
	Card     int32
	Protocol uint32
	Outcome  outcome
}

// Connect implements service.
func (p pcscd) Connect(ctx context.Context, name string) (connection, error) {
	s, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	e := establishing{Scope: scopeSystem}
	err = s.call(cmdEstablish, &e, answerTime)
	if err == nil {
		err = e.Outcome.err()
	}
	c := connecting{Context: e.Context, Share: shared, Offered: bothT}
	copy(c.Reader[:len(c.Reader)-1], name)
	if err == nil {
		err = patiently(func() (outcome, error) {
			err := s.call(cmdConnect, &c, cardTime)
			return c.Outcome, err
		})
	}
	if err != nil {
		_ = s.conn.Close() // pcscd lets go of what was asked for
		return nil, asRemoved(err)
	}
	return &pcscdCard{s: s, card: c.Card, protocol: c.Protocol}, nil
}

// pcscdCard is a card that pcscd lends.
type pcscdCard struct {
	s        *session
	card     int32
	protocol uint32
	unsure   bool // the last reset did not succeed
}

// T0 implements connection.
func (c *pcscdCard) T0() bool { return c.protocol == protocolT0 }

// Begin implements connection. A card that another program, or we, have reset
// has to be connected to anew.
func (c *pcscdCard) Begin() error {
	err := c.begin()
	if errors.Is(err, outReset) || errors.Is(err, outUnpowered) {
		if err = c.reconnect(); err == nil {
			err = c.begin()
		}
	}
	return asRemoved(err)
}

func (c *pcscdCard) begin() error {
	return patiently(func() (outcome, error) {
		body := struct {
			Card    int32
			Outcome outcome
		}{Card: c.card}
		err := c.s.call(cmdBegin, &body, cardTime)
		return body.Outcome, err
	})
}

func (c *pcscdCard) reconnect() error {
	body := struct {
		Card                             int32
		Share, Offered, Before, Protocol uint32
		Outcome                          outcome
	}{Card: c.card, Share: shared, Offered: bothT, Before: leaveCard}
	if err := c.s.call(cmdReconnect, &body, cardTime); err != nil {
		return err
	}
	c.protocol = body.Protocol
	return body.Outcome.err()
}

type transmitting struct {
	Card                     int32
	SendProtocol, SendLength uint32
	Length                   uint32
	RecvProtocol, RecvLength uint32
	Room                     uint32
	Outcome                  outcome
}

// Transmit implements connection.
func (c *pcscdCard) Transmit(command []byte) ([]byte, error) {
	const headers = 16                                                                                              // the size of what describes a protocol, for PC/SC
	body := transmitting{Card: c.card, SendProtocol: c.protocol, SendLength: headers, Length: uint32(len(command)), //nolint:gosec // 261 at most
		RecvProtocol: c.protocol, RecvLength: headers, Room: maxShort}
	if err := c.s.send(cmdTransmit, &body, cardTime, command...); err != nil {
		return nil, asRemoved(err)
	}
	if err := c.s.receive(&body); err != nil {
		return nil, asRemoved(err)
	}
	if err := body.Outcome.err(); err != nil {
		return nil, err
	}
	if body.Room > maxShort {
		return nil, fmt.Errorf("%w: its answer is too long", ErrUnreadable)
	}
	if body.Room == 0 {
		return nil, fmt.Errorf("%w: it answers nothing", ErrRemoved) // some readers tell no more
	}
	answer := make([]byte, body.Room)
	if _, err := io.ReadFull(c.s.conn, answer); err != nil {
		return nil, asRemoved(fmt.Errorf("%w: %w", errService, err))
	}
	return answer, nil
}

type ending struct {
	Card    int32
	Leaving uint32
	Outcome outcome
}

// End implements connection.
func (c *pcscdCard) End(reset bool) error {
	body := ending{Card: c.card, Leaving: leaveCard}
	if reset {
		body.Leaving = resetCard
	}
	err := c.s.call(cmdEnd, &body, cardTime)
	if err == nil {
		err = body.Outcome.err()
	}
	c.unsure = reset && err != nil
	return asRemoved(err)
}

// Close implements connection.
func (c *pcscdCard) Close() error {
	body := ending{Card: c.card, Leaving: leaveCard}
	if c.unsure {
		body.Leaving = resetCard
	}
	_ = c.s.call(cmdDisconnect, &body, cardTime) // pcscd does it anyway when the connection ends
	return c.s.conn.Close()
}
