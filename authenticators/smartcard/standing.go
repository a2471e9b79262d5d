package smartcard

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

// standing is a card that may sign in, and what that is worth.
type standing struct {
	card   Card
	serial string // of its certificate, as the registry writes it
	level  authenticators.Level
	flag   string // for the audit; empty: nothing
	ends   time.Time
	series time.Time // when cards of its series end; zero: nobody knows
}

// Inspect says whether the card with this certificate could sign in now: its
// refusals are those that Respond would give for the certificate and the card.
// It is for before a passcode is asked, so that no try is used up for nothing.
func (r *Room) Inspect(ctx context.Context, certificate *x509.Certificate) error {
	_, err := r.inspect(ctx, [][]byte{certificate.Raw})
	return err
}

// Judge reads a certificate, DER, and says whether a card could sign in with it
// now as far as its authority goes: the registry and whoever revokes are not
// asked. It returns the certificate and that of its authority.
func (r *Room) Judge(der []byte) (leaf, issuer *x509.Certificate, err error) {
	return r.trust.read([][]byte{der}, r.now())
}

// inspect is Inspect, and says what of the card ends soon.
func (r *Room) inspect(ctx context.Context, x5c [][]byte) (Ahead, error) {
	now := r.now()
	leaf, issuer, err := r.read(ctx, x5c, now)
	if err != nil {
		return Ahead{}, err
	}
	s, err := r.stands(ctx, leaf, issuer, now)
	if err != nil {
		return Ahead{}, err
	}
	certificate, err1 := r.soon(ctx, s.ends, now)
	series, err2 := r.soon(ctx, s.series, now)
	return Ahead{Certificate: certificate, Series: series}, errors.Join(err1, err2)
}

// read reads the first certificate and judges it. A refusal for its dates alone
// says whose card it is.
func (r *Room) read(ctx context.Context, x5c [][]byte, now time.Time) (leaf, issuer *x509.Certificate, err error) {
	leaf, issuer, err = r.trust.read(x5c, now)
	if err == nil || issuer == nil {
		return leaf, issuer, err
	}
	c, unknown := r.cards.CardByCertificate(ctx, IssuerID(issuer), challenge.Serial(leaf))
	if unknown != nil {
		return nil, nil, err // an outage too: it has ended, whoever's it is
	}
	return nil, nil, c.refused(err)
}

// stands says how the card with certificate leaf stands, or why it is refused.
// The registry is asked before the network: nobody is asked about a card that
// is refused anyway. What the registry knows of a card is told with its refusal:
// its path was proved before.
func (r *Room) stands(ctx context.Context, leaf, issuer *x509.Certificate, now time.Time) (standing, error) {
	s := standing{serial: challenge.Serial(leaf), level: authenticators.AAL3, ends: leaf.NotAfter}
	var err error
	if s.card, err = r.card(ctx, IssuerID(issuer), s.serial); err != nil {
		return standing{}, s.card.refused(err)
	}
	if s.series, err = r.inSeries(ctx, s.card.Series, now); err != nil {
		return standing{}, s.card.refused(err)
	}
	if s.flag, err = r.notRevoked(ctx, leaf, issuer); err != nil {
		return standing{}, s.card.refused(err)
	}
	if s.flag != "" {
		s.level = authenticators.AAL2
	}
	return s, nil
}

// card returns the registered card, with its refusal if it may not be used.
func (r *Room) card(ctx context.Context, issuer, serial string) (Card, error) {
	c, err := r.cards.CardByCertificate(ctx, issuer, serial)
	if err != nil {
		return Card{}, fmt.Errorf("find card: %w", err)
	}
	switch c.State {
	case Active:
	case Suspended:
		return c, ErrSuspended
	case Blocked:
		return c, ErrBlocked
	case Revoked:
		return c, ErrRevoked
	default:
		return Card{}, errors.New("find card: its state is none that we know")
	}
	if c.Holder == "" {
		return Card{}, ErrNotRegistered
	}
	return c, nil
}

// inSeries refuses a card whose series is blocked at now, and says when one that
// is not will be: zero if nobody knows. The series is what the registry says of
// the card, not what the desk says.
func (r *Room) inSeries(ctx context.Context, series int, now time.Time) (ends time.Time, err error) {
	from, blocked, err := r.rules.BlockedFrom(ctx, series)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask about series: %w", err)
	}
	if blocked && !now.Before(from) {
		return time.Time{}, SeriesEnded{from}
	}
	return from, nil
}

// notRevoked refuses a card whose certificate is revoked, or not known to be
// good. With Soft it returns a flag instead if nobody could say.
func (r *Room) notRevoked(ctx context.Context, leaf, issuer *x509.Certificate) (flag string, err error) {
	status, err := r.revocation.Check(ctx, leaf, issuer)
	switch status {
	case revocation.Good:
		return "", nil
	case revocation.Revoked:
		return "", ErrRevoked
	case revocation.Unknown:
		return "", fmt.Errorf("%w: its authority does not know it", ErrUnchecked)
	default:
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("check revocation: %w", ctx.Err()) // who asked has gone: no word about the card
	}
	if r.soft {
		return Unchecked, nil
	}
	if err == nil {
		return "", ErrUnchecked
	}
	return "", fmt.Errorf("%w: %w", ErrUnchecked, err)
}
