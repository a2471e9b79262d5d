package idp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// What a code by mail is good for.
const (
	MailCodeLife  = 10 * time.Minute
	mailCodeTries = 5
	mailCodeSize  = 8 // characters of 5 bits each
)

// MailLimit is that of codes by mail for one purpose of one account: nobody's
// mailbox is to be filled by a stranger.
var MailLimit = Limit{Free: 3, First: time.Minute, Longest: time.Hour, Life: 24 * time.Hour}

// ErrMailCode refuses a code that was not sent, is too old, or was tried too
// often: one reason for all.
const ErrMailCode Refusal = "the code from the mail is wrong or too old"

// ErrEmail refuses what cannot be an address.
const ErrEmail Refusal = "that is no e-mail address"

// Teller tells people of what is no change of the registry.
type Teller interface {
	// Tell records what act says, and keeps its mails until they are sent, in
	// one transaction.
	Tell(ctx context.Context, act Act) error
}

// MailCodes proves that somebody reads an address, by a code that is sent
// there: 40 bits, good for ten minutes, for one right answer and fewer than
// five wrong ones.
type MailCodes struct {
	Questions authenticators.Questions
	Teller    Teller
	Limits    Limits
	Now       func() time.Time
}

// sent is a code on its way. Only its hash is kept.
type sent struct {
	Hash    string    `json:"hash"`
	Address string    `json:"address"`
	Left    int       `json:"left"` // tries
	Expires time.Time `json:"expires"`
}

// name is where the code for a purpose of a person is kept: one at a time.
func (sent) name(purpose, subject string) string { return Hash("mail code " + purpose + " " + subject) }

// Send sends a code to an address, for one purpose of one person. What was sent
// for it before is worth nothing. A purpose is a word, and after a space may
// name the browser in which alone the code is good.
func (m *MailCodes) Send(ctx context.Context, purpose, subject, address, lang string) error {
	return m.post(ctx, purpose, subject, Event{Kind: MailCodeSent, Subject: subject}, Mail{To: address, Lang: lang, Text: mailCodeText})
}

// post keeps a new code, and puts the mail that has it into the outbox.
func (m *MailCodes) post(ctx context.Context, purpose, subject string, e Event, letter Mail) error {
	if err := m.count(ctx, purpose, subject); err != nil {
		return err
	}
	code := newMailCode()
	opens := code
	if letter.ForNobody() {
		opens = NewSecret() // which nobody guesses
	}
	s := sent{Hash: Hash(opens), Address: letter.To, Left: mailCodeTries, Expires: m.Now().Add(MailCodeLife)}
	if err := m.keep(ctx, s, purpose, subject); err != nil {
		return err
	}
	e.At, e.Reason, letter.Args = m.Now(), word(purpose), map[string]string{"code": code[:4] + "-" + code[4:]}
	return m.Teller.Tell(ctx, Act{Event: e, Mails: []Mail{letter}})
}

// word is a purpose without the browser.
func word(purpose string) string {
	w, _, _ := strings.Cut(purpose, " ")
	return w
}

// Forget forgets how many mails somebody was sent for a purpose, once they have
// shown that they asked for them.
func (m *MailCodes) Forget(ctx context.Context, purpose, subject string) error {
	return m.Limits.Clear(ctx, mailKey(purpose, subject))
}

// mailKey counts each purpose by itself: a stranger who asks for one on behalf
// of somebody keeps them from no other.
func mailKey(purpose, subject string) LimitKey {
	return LimitKey{Account: subject, Authenticator: "mail code " + word(purpose)}
}

// count counts a mail of one account, wherever it goes.
func (m *MailCodes) count(ctx context.Context, purpose, subject string) error {
	return m.Limits.Attempt(ctx, mailKey(purpose, subject), MailLimit, m.Now())
}

func (m *MailCodes) keep(ctx context.Context, s sent, purpose, subject string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write code: %w", err)
	}
	if err := m.Questions.Ask(ctx, s.name(purpose, subject), b, s.Expires); err != nil {
		return fmt.Errorf("keep code: %w", err)
	}
	return nil
}

// Check calls then with the address to which code was sent for that purpose, or
// is ErrMailCode. The code is taken before it is compared, so of many guesses at
// once one is judged. It is used up when then succeeds; when not, a try is.
func (m *MailCodes) Check(ctx context.Context, purpose, subject, code string, then func(address string) error) error {
	var s sent
	b, err := m.Questions.Take(ctx, s.name(purpose, subject), m.Now())
	if errors.Is(err, authenticators.ErrAnswer) {
		return ErrMailCode
	}
	if err != nil {
		return fmt.Errorf("take code: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read code: %w", err)
	}
	err = ErrMailCode
	if subtle.ConstantTimeCompare([]byte(Hash(spell(code))), []byte(s.Hash)) == 1 {
		if err = then(s.Address); err == nil {
			return nil
		}
	}
	if s.Left--; s.Left > 0 {
		if err := m.keep(ctx, s, purpose, subject); err != nil {
			return err
		}
	}
	return err
}

// Pretend does what Send does, for somebody who may have no code, so that nobody
// learns who there is: at the stores too, to the row and nearly to the byte. Its
// mail says the same and is for nobody, and its code is in nobody's hands.
// subject is a person's UID or a name for nobody; address is what was entered.
func (m *MailCodes) Pretend(ctx context.Context, purpose, subject, address, lang string) error {
	about := subject
	if !IsUID(about) {
		about = "nobody" // a name for an address is the address to who has a list of them
	}
	to := strings.Repeat("-", min(len(address), maxEmail))
	return m.post(ctx, purpose, subject, Event{Kind: MailCodeNone, Subject: about}, Mail{To: to, Lang: lang, Text: mailNoneText})
}

// crockford are the letters and digits that are not taken for one another.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func newMailCode() string {
	b := make([]byte, mailCodeSize)
	_, _ = rand.Read(b) // never fails: crypto/rand
	for i := range b {
		b[i] = crockford[b[i]&31]
	}
	return string(b)
}

// spell returns code as it was made, however it was typed.
func spell(code string) string {
	if len(code) > 64 {
		return ""
	}
	return strings.NewReplacer("O", "0", "I", "1", "L", "1", "-", "", " ", "").Replace(strings.ToUpper(code))
}

// maxEmail is how long an address may be. RFC 5321 §4.5.3.1.3.
const maxEmail = 254

// ParseEmail returns an address that somebody entered, or ErrEmail.
func ParseEmail(text string) (string, error) {
	text = strings.TrimSpace(text)
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name != "" || a.Address != text || len(text) > maxEmail {
		return "", ErrEmail
	}
	_, domain, _ := strings.Cut(text, "@")
	if !strings.Contains(domain, ".") || strings.ContainsAny(text, " \"\\(),:;<>[]\t\r\n") {
		return "", ErrEmail
	}
	return text, nil
}
