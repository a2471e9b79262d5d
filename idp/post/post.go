// Package post carries mails from the outbox of the registry to people, by
// SMTP. Like the package of the protocol it fits the rules to a library, and is
// the only one that knows it.
//
// A mail is never lost: it leaves the outbox when a mail server has taken it,
// or when it is given up, which the journal tells. It may come twice and not
// more often, after a mail server, or this program, fell silent at the moment
// in which the mail was handed over: it is counted before that, so that the
// next who takes it knows. What becomes of a mail is judged in package idp.
package post

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

const (
	// lease is how long a mail is one server's own. Handing it over is bounded
	// by less.
	lease = time.Minute

	// pauses between looks into the outbox: when nothing was there, and at most
	// when nobody takes mails.
	idle, most = time.Second, time.Minute
)

// Outbox is where mails wait.
type Outbox interface {
	// TakeMail returns a mail that is due at now, and keeps it from others until
	// until. idp.ErrNotFound if none is due.
	TakeMail(ctx context.Context, now, until time.Time) (idp.Outgoing, error)

	// HandMail notes that a mail is about to be handed over. idp.ErrNotFound if
	// another has taken it meanwhile.
	HandMail(ctx context.Context, o idp.Outgoing) error

	// PutBackMail lets anybody take a mail from next on.
	PutBackMail(ctx context.Context, o idp.Outgoing, next time.Time) error

	// EndMail forgets a mail. It was sent, or why says why not, and the journal
	// is told in the same transaction.
	EndMail(ctx context.Context, o idp.Outgoing, why string) error
}

// Words are the catalogue.
type Words interface {
	Text(lang, key string, args ...any) string
	Language(wishes ...string) string
}

// Post carries mails. All of it must be there.
type Post struct {
	Outbox Outbox
	Words  Words
	Server Server
	Count  func(result string) // sent, retried, or why one was given up
	Now    func() time.Time
	Log    *slog.Logger
}

// Run carries mails until ctx is done.
func (p *Post) Run(ctx context.Context) error {
	pause, silent := time.Duration(0), false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		found, err := p.One(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			pause = min(max(2*pause, idle), most)
			if !silent {
				p.Log.WarnContext(ctx, "mails wait", "error", err.Error())
			}
		case found:
			pause = 0
		default:
			pause = idle
		}
		if found && err == nil && silent {
			p.Log.InfoContext(ctx, "mails are carried again")
		}
		silent = err != nil || silent && !found
	}
}

// One carries one mail that is due, and says whether there was one. An error is
// of who should have helped; the mail waits.
func (p *Post) One(ctx context.Context) (found bool, err error) {
	now := p.Now()
	o, err := p.Outbox.TakeMail(ctx, now, now.Add(lease).Truncate(time.Microsecond))
	if errors.Is(err, idp.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if o.Mail.ForNobody() {
		return true, p.drop(ctx, o)
	}
	if why := o.Hopeless(now); why != "" {
		return true, p.end(ctx, o, why)
	}
	letter, err := p.write(o)
	if err != nil {
		return true, p.end(ctx, o, idp.MailUnreadable)
	}
	l, err := p.Server.call(ctx)
	if err != nil {
		return true, errors.Join(err, p.putBack(ctx, o))
	}
	defer l.hangUp()
	switch err := p.Outbox.HandMail(ctx, o); {
	case errors.Is(err, idp.ErrNotFound):
		return true, nil // we were too slow, and somebody else is at it
	case err != nil:
		return true, err
	}
	o.Handed++
	return true, p.settle(ctx, o, l.hand(letter))
}

// settle writes down what became of a mail that was handed over.
func (p *Post) settle(ctx context.Context, o idp.Outgoing, what answer) error {
	switch what.fate {
	case taken:
		return p.end(ctx, o, "")
	case refused:
		p.Log.WarnContext(ctx, "a mail server refused a mail for good", "mail", o.ID, "at", what.at, "code", what.code)
		return p.end(ctx, o, idp.MailRefused)
	case notTaken:
		o.Handed--
	case unknown:
	}
	p.Log.WarnContext(ctx, "a mail was not taken", "mail", o.ID, "at", what.at, "code", what.code, "may_have_been", what.fate == unknown)
	return p.putBack(ctx, o)
}

// settling bounds what is written down of a mail, and lets it be written even
// when the server is leaving: what was sent must not be sent again.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

func (p *Post) end(ctx context.Context, o idp.Outgoing, why string) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	err := p.Outbox.EndMail(ctx, o, why)
	if errors.Is(err, idp.ErrNotFound) {
		return nil // another has done it, and counted it
	}
	if err == nil && why == "" {
		why = "sent"
	}
	if err == nil {
		p.Count(why)
	}
	return err
}

// drop forgets a mail that is for nobody. It is not counted: it never was one.
func (p *Post) drop(ctx context.Context, o idp.Outgoing) error {
	err := p.Outbox.EndMail(ctx, o, "")
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	return err
}

func (p *Post) putBack(ctx context.Context, o idp.Outgoing) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	p.Count("retried")
	err := p.Outbox.PutBackMail(ctx, o, o.NextTry(p.Now(), rand.Float64())) //nolint:gosec // nobody gains by knowing when
	if errors.Is(err, idp.ErrNotFound) {
		return nil
	}
	return err
}
