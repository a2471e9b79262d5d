package card

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// maxFile bounds a card file; one has 3 kB.
const maxFile = 64 << 10

// File is a card in software, in a file that `lanyard card virtual` wrote. It is
// read anew for each sign-in, and what its tries come to is written back.
type File string

// Wait implements Source. The card is always there.
func (f File) Wait(context.Context, func(Waiting)) (Card, error) {
	raw, err := f.read()
	if err != nil {
		return nil, err
	}
	c, err := virtualcard.Read(raw, func(changed []byte) error { return os.WriteFile(string(f), changed, 0o600) })
	if err != nil {
		return nil, fmt.Errorf("card file: %w", err)
	}
	return virtual{c}, nil
}

// Alone says whether the card in the file is the one that was shown.
func (f File) Alone(ctx context.Context, shown About) bool {
	c, err := f.Wait(ctx, nil)
	return err == nil && c.About().same(shown)
}

func (f File) read() ([]byte, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, fmt.Errorf("card file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, fmt.Errorf("card file: %w", err)
	}
	return raw, nil
}

type virtual struct{ card *virtualcard.Card }

// About implements Card.
func (v virtual) About() About {
	return About{Reader: "Virtual reader", GUID: v.card.GUID(), ATR: v.card.ATR(), Certificate: v.card.Certificate(), TriesLeft: v.card.TriesLeft()}
}

// Use implements Card.
func (v virtual) Use(passcode []byte, do func(crypto.Signer) error) error {
	err := v.card.Use(string(passcode), do) // a card in software is no place for secrets
	if wrong, ok := errors.AsType[virtualcard.PINError](err); ok {
		return PINError(wrong)
	}
	if errors.Is(err, virtualcard.ErrBlocked) {
		return ErrBlocked
	}
	return err
}

// Gone implements Card. A file stays.
func (virtual) Gone() <-chan struct{} { return nil }

// Close implements Card.
func (virtual) Close() error { return nil }
