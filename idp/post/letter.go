package post

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/lanyard-id/lanyard/idp"
)

// write makes a message of a mail, in the language of its person. What it is
// called stays the same however often it is sent, so that mailboxes can tell.
func (p *Post) write(o idp.Outgoing) (*mail.Msg, error) {
	lang := p.Words.Language(o.Mail.Lang)
	var args []any
	for _, name := range slices.Sorted(maps.Keys(o.Mail.Args)) {
		args = append(args, name, o.Mail.Args[name])
	}
	body := p.Words.Text(lang, "mail.frame", "text", p.Words.Text(lang, o.Mail.Text, args...), "service", p.Words.Text(lang, "service.name"))
	subject := p.Words.Text(lang, o.Mail.Text+".subject", args...)
	if strings.ContainsAny(subject, "\r\n") {
		return nil, fmt.Errorf("the subject of %s has several lines", o.Mail.Text)
	}

	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.From(p.Server.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := m.To(o.Mail.To); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	_, domain, _ := strings.Cut(p.Server.From, "@")
	m.SetMessageIDWithValue(strings.ToLower(o.ID) + "@" + domain)
	m.SetDateWithValue(o.At)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: no machine answers
	m.SetGenHeader("Content-Language", lang)
	m.Subject(subject)
	m.SetBodyString(mail.TypeTextPlain, body)
	return m, nil
}
