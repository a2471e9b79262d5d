package card

import (
	"errors"
	"fmt"
	"time"
)

// What the services for card readers have in common is PC/SC: its numbers for
// what is asked and for what comes of it.
const (
	scopeSystem = 2
	shared      = 2
	bothT       = 1 | 2 // T=0 and T=1
	protocolT0  = 1

	leaveCard = 0
	resetCard = 1
)

// Times.
const (
	answerTime = 5 * time.Second // of the service
	lendTime   = 2 * time.Second // for another program to let go of a card, before it is said
	cardTime   = 30 * time.Second
	pollTime   = 500 * time.Millisecond
	lockTime   = 50 * time.Millisecond
)

// maxShort is the longest answer to a short command.
const maxShort = 258

// outcome is what came of a command: nought, or an error of PC/SC.
type outcome uint32

// Outcomes that are told apart.
const (
	outCancelled    outcome = 0x80100002
	outTimeout      outcome = 0x8010000A
	outSharing      outcome = 0x8010000B
	outNoCard       outcome = 0x8010000C
	outNoReader     outcome = 0x80100009
	outProtocol     outcome = 0x8010000F
	outSilent       outcome = 0x80100013
	outNotSent      outcome = 0x80100016
	outUnavailable  outcome = 0x80100017
	outNoService    outcome = 0x8010001D
	outStopped      outcome = 0x8010001E
	outNone         outcome = 0x8010002E
	outUnsupported  outcome = 0x80100065
	outUnresponsive outcome = 0x80100066
	outUnpowered    outcome = 0x80100067
	outReset        outcome = 0x80100068
	outRemoved      outcome = 0x80100069
)

// Error says the number, for logs.
func (o outcome) Error() string { return fmt.Sprintf("PC/SC error %08X", uint32(o)) }

// err says what an outcome means; nil is good. A card that was taken out does
// not answer for a while before it is missed.
func (o outcome) err() error {
	switch o {
	case 0:
		return nil
	case outNoCard, outNoReader, outUnavailable, outRemoved, outSilent, outNotSent:
		return fmt.Errorf("%w: %w", ErrRemoved, o)
	case outUnresponsive, outUnpowered:
		return fmt.Errorf("%w: %w", ErrUnreadable, o)
	case outUnsupported, outProtocol:
		return fmt.Errorf("%w: %w", ErrUnsupported, o)
	case outNoService, outStopped:
		return fmt.Errorf("%w: %w", errService, o)
	case outSharing:
		return fmt.Errorf("%w: %w", ErrBusy, o)
	default:
		return o
	}
}

// patiently tries again while another program has the card, which is over soon
// among programs that behave.
func patiently(try func() (outcome, error)) error {
	for waited := time.Duration(0); ; waited += lockTime {
		o, err := try()
		if err != nil {
			return err
		}
		if o != outSharing || waited >= lendTime {
			return o.err()
		}
		time.Sleep(lockTime)
	}
}

// asRemoved says that the card is gone when the service is, in the middle.
func asRemoved(err error) error {
	if errors.Is(err, errService) {
		return fmt.Errorf("%w: %w", ErrRemoved, err)
	}
	return err
}
