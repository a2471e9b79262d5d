package idp

import "time"

const (
	// MailLife is how long a mail is tried: news of yesterday's change helps
	// nobody any more.
	MailLife = 24 * time.Hour

	// mostHanded is how often a mail is handed to a mail server that does not
	// say whether it took it. Once more than once, because most of those that
	// fell silent did not; and no more, because each may have.
	mostHanded = 2

	// What mails with codes say, and those that look like them and are for
	// nobody. The two are equally long, and so are the mails.
	mailCodeText = "mail.code"
	mailNoneText = "mail.none"
)

// ForNobody says whether a mail is there only because one would be if its code
// were somebody's. Whoever finds it throws it away, and tells nobody.
func (m Mail) ForNobody() bool { return m.Text == mailNoneText }

// Outgoing is a mail on its way, as one server has taken it.
type Outgoing struct {
	ID     string
	At     time.Time // when it was written
	Handed int       // how often it was handed to a mail server, and nobody knows what became of it
	Held   time.Time // until then nobody else takes it; it also names this taking
	Mail   Mail

	Problem error // why the mail cannot be read; nil for most
}

// Why a mail is given up, as the journal has it.
const (
	MailExpired    = "expired"
	MailUnanswered = "unanswered"
	MailUnreadable = "unreadable"
	MailRefused    = "refused"
)

// Until returns when the mail is worth nothing any more.
func (o Outgoing) Until() time.Time {
	if o.Mail.Text == mailCodeText {
		return o.At.Add(MailCodeLife)
	}
	return o.At.Add(MailLife)
}

// Hopeless says why the mail must not be sent, or "".
func (o Outgoing) Hopeless(now time.Time) string {
	switch {
	case o.Problem != nil:
		return MailUnreadable
	case !now.Before(o.Until()):
		return MailExpired
	case o.Handed >= mostHanded:
		return MailUnanswered
	}
	return ""
}

// NextTry returns when a mail that was not sent is tried again: after as long
// as it has waited, give or take a quarter, so that the tries grow apart and
// those of many mails do not come together. luck is from 0 to 1.
func (o Outgoing) NextTry(now time.Time, luck float64) time.Time {
	wait := min(max(now.Sub(o.At), 5*time.Second), 15*time.Minute)
	next := now.Add(time.Duration(float64(wait) * (0.75 + luck/2)))
	if until := o.Until(); next.After(until) {
		return until // to be given up on time
	}
	return next
}
