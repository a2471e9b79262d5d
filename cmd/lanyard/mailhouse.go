package main

import (
	"context"
	"errors"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/post"
)

// mailServer is who carries mails, by the settings.
func (s settled) mailServer() post.Server {
	return post.Server{Address: s.SMTP.Address, Username: s.SMTP.Username, Password: s.secrets.smtpPassword, From: s.SMTP.From, TLS: s.SMTP.TLS, Roots: s.mailCAs}
}

// postman carries mails from this server, or is nil.
func (p *production) postman(s settled) *post.Post {
	if s.SMTP.Address == "" {
		return nil
	}
	return &post.Post{Outbox: p.registry, Words: p.site, Server: s.mailServer(), Count: p.metrics.Mail, Now: p.now, Log: p.log}
}

// carryMails carries mails until ctx is done.
func (p *production) carryMails(ctx context.Context, by *post.Post) {
	for by != nil && ctx.Err() == nil {
		if err := unharmed(ctx, by.Run); err != nil {
			p.log.ErrorContext(ctx, "carrying mails failed", "error", err.Error())
		}
	}
}

// keepOutbox gives up mails that nobody took for as long as a mail lives, which
// happens where no mail server is named, and shows how many wait.
func (p *production) keepOutbox(ctx context.Context) error {
	const atOnce = 100
	old, err := p.registry.OldMails(ctx, p.now().Add(-idp.MailLife), atOnce)
	if err != nil {
		return err
	}
	for _, o := range old {
		why := idp.MailExpired
		if o.Mail.ForNobody() {
			why = ""
		}
		switch err := p.registry.EndMail(ctx, o, why); {
		case err == nil && why != "":
			p.metrics.Mail(why)
		case err == nil:
		case !errors.Is(err, idp.ErrNotFound): // another server has done it
			return err
		}
	}
	n, err := p.registry.MailsWaiting(ctx)
	if err == nil {
		p.metrics.MailsWaiting(n)
	}
	return err
}
