package registry

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// authorities stand in for those of cards. A request is "key NAME", and a
// certificate "SERIAL NAME UID".
type authorities struct{}

func (authorities) Asked(csr string) (string, error) {
	key, ok := strings.CutPrefix(csr, "key ")
	if !ok {
		return "", refuse(ErrCSR, "csr", Form)
	}
	return key, nil
}

func (authorities) Until(now time.Time) time.Time { return now.AddDate(2, 0, 0) }

func (a authorities) Certify(csr, uid, serial string, now time.Time) (Certificate, error) {
	key, err := a.Asked(csr)
	return Certificate{DER: []byte(serial + " " + key + " " + uid), Issuer: "OURS", Serial: serial, Key: key, Names: []string{uid}, Ends: a.Until(now)}, err
}

func (a authorities) Judge(certificate string, now time.Time) (Certificate, error) {
	words := strings.Fields(certificate)
	if len(words) != 3 {
		return Certificate{}, refuse(ErrUntrusted, "certificate", Form)
	}
	return Certificate{DER: []byte(certificate), Issuer: "THEIRS", Serial: words[0], Key: words[1], Names: words[2:], Ends: a.Until(now)}, nil
}

func TestCertificates(t *testing.T) {
	ask := func(uid, old, csr string) IssueCertificate {
		return IssueCertificate{Certified{UID: uid, Series: 9, Old: old}, csr}
	}
	show := func(uid, old, text string) RecordCertificate {
		return RecordCertificate{Certified{UID: uid, Series: 9, Old: old}, text}
	}
	t.Run("own rule: a card gets a certificate of ours, and is its person's from that moment", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		done := w.do(t, agent, ask(uid, "", "key a"))
		p := w.person(uid)
		c, kept := p.Cards[0], p.Issued[done.ID]
		if c.Serial != done.ID || len(c.Serial) != 32 || c.State != active || !c.Registered || c.EndsOn != "2032-06-03" || p.Issuers[c.Serial] != "OURS" {
			t.Errorf("card %+v of %s", c, p.Issuers[c.Serial])
		}
		if string(kept.Certificate) != done.ID+" a "+uid || kept.Key != "a" || !kept.AddedAt.Equal(noon) || done.Certificate != kept.PEM() {
			t.Errorf("kept: %+v", kept)
		}
		if e := w.last(); e.Kind != CertificateIssued || e.Authenticator != "card:"+done.ID || e.Subject != uid {
			t.Errorf("journal: %+v", e)
		}
		if m := w.mails[0]; m.Text != "mail.added" || m.To != p.Email {
			t.Errorf("mail: %+v", m)
		}
	})
	t.Run("own rule: one live certificate a card; a renewal revokes the old one, which stays on record", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		first := w.do(t, agent, ask(uid, "", "key a")).ID
		w.not(t, agent, ask(uid, "", "key a"), idp.ErrTaken)
		w.not(t, agent, ask(w.nurse("MID"), first, "key b"), ErrNoCard)
		second := w.do(t, agent, ask(uid, first, "key a")).ID
		p := w.person(uid)
		if p.Cards[0].State != revoked || !p.Issued[first].RevokedAt.Equal(noon) || p.Issued[first].Certificate == nil || p.Cards[1].State != active || second == first {
			t.Errorf("cards: %+v, kept %+v", p.Cards, p.Issued[first])
		}
		if e := w.last(); !strings.Contains(e.Reason, first) {
			t.Errorf("journal: %+v", e)
		}
		w.do(t, agent, ask(uid, first, "key c")) // in the place of one that is revoked already
		w.do(t, agent, ask(uid, second, "key a"))
	})
	t.Run("own rule: the key of a card that was revoked gets no certificate again", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		lost := w.do(t, agent, ask(uid, "", "key a")).ID
		w.do(t, agent, RevokeCard{Serial: lost, Reason: "lost"})
		w.not(t, agent, ask(uid, "", "key a"), idp.ErrTaken)
		w.not(t, agent, ask(uid, lost, "key a"), idp.ErrTaken)
		w.not(t, agent, show(uid, "", "0A a "+uid), idp.ErrTaken)
	})
	t.Run("own rule: the key of a card that was revoked gets no certificate again, for nobody else either", func(t *testing.T) {
		w := aWorld(t)
		agent, uid, other := w.holder(Agent, "MID"), w.nurse("MID"), w.nurse("MID")
		lost := w.do(t, agent, ask(uid, "", "key a")).ID
		w.not(t, agent, ask(other, "", "key a"), idp.ErrTaken)
		w.do(t, agent, RevokeCard{Serial: lost, Reason: "lost"})
		w.not(t, agent, ask(other, "", "key a"), idp.ErrTaken)
		w.not(t, agent, show(other, "", "0A a "+other), idp.ErrTaken)
		second := w.do(t, agent, ask(other, "", "key b")).ID
		w.not(t, agent, ask(other, second, "key a"), idp.ErrTaken)
		w.do(t, w.holder(Manager, "MID"), ClosePerson{uid, "left"})
		w.not(t, agent, ask(other, "", "key a"), idp.ErrTaken)
	})
	t.Run("own rule: a card with a certificate is revoked and never forgotten, whatever takes it away", func(t *testing.T) {
		w := aWorld(t)
		w.apply(t, town)
		const asha = "555000000101"
		w.do(t, w.holder(Agent, "HOM"), ask(asha, "", "key a"))
		p := w.person(asha)
		serial := p.Cards[1].Serial
		with := func(card string) string {
			return strings.Replace(town, `{serial: "AB", series: 9}`, `{serial: "AB", series: 9}`+card, 1)
		}
		ours := "\n      - {serial: \"" + serial + "\", series: 9"
		standing := func(why string, want directory.CardState) {
			t.Helper()
			p := w.person(asha)
			i := slices.IndexFunc(p.Cards, func(c directory.Card) bool { return c.Serial == serial })
			if i < 0 || p.Cards[i].State != want || !p.Cards[i].Registered || p.Cards[i].EndsOn != "2032-06-03" || p.Issued[serial].Certificate == nil ||
				(want == revoked) == p.Issued[serial].RevokedAt.IsZero() {
				t.Errorf("%s: %+v, %+v", why, p.Cards, p.Issued)
			}
		}
		for _, text := range []string{with(ours + "}"), with(ours + `, ends_on: "2030-01-01"}`)} {
			w.apply(t, text)
			standing("in a document", active)
			if again := w.apply(t, text); len(again.Differences) > 0 {
				t.Errorf("again: %v", ops(again.Differences))
			}
		}
		w.apply(t, town)
		standing("left out", revoked)
		if again := w.apply(t, town); len(again.Differences) > 0 {
			t.Errorf("again: %v", ops(again.Differences))
		}

		serial = w.do(t, w.holder(Agent, "HOM"), ask(asha, "", "key b")).ID
		text := with("\n      - {serial: \"" + serial + "\", series: 9, registered: false}")
		w.apply(t, text)
		standing("of which nobody is to know", revoked)
		if again := w.apply(t, text); len(again.Differences) > 0 {
			t.Errorf("again: %v", ops(again.Differences))
		}
		r := Records{People: map[string]*Person{asha: w.person(asha)}, Today: today}
		before := r.certified()
		r.People[asha].Cards, r.People[asha].Issuers, r.People[asha].Issued = nil, nil, nil
		r.remember(before)
		if p := r.People[asha]; len(p.Cards) != 2 || p.Cards[0].State != revoked || p.Issuers[serial] != "OURS" || p.Issued[serial].Key != "b" {
			t.Errorf("taken away: %+v", p)
		}
	})
	t.Run("own rule: only what a change revokes is revoked since that change", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		first := w.do(t, agent, ask(uid, "", "key a")).ID
		w.person(uid).Cards[0].State = revoked // by a document, and nobody wrote down when
		w.do(t, agent, ask(uid, "", "key b"))
		if at := w.person(uid).Issued[first].RevokedAt; !at.IsZero() {
			t.Errorf("revoked at %v", at)
		}
	})
	t.Run("own rule: a preview signs nothing", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		w.CardAuthority = onlyAsked{}
		preview, err := w.Check(t.Context(), w.actor(agent), ask(uid, "", "key a"))
		if err != nil || !slices.ContainsFunc(preview.Differences, func(d directory.Difference) bool { return d.Op == "add" && d.Kind == "card" && d.ID == "" }) {
			t.Errorf("%+v, %v", preview, err)
		}
	})
	t.Run("own rule: who may have no card gets no certificate", func(t *testing.T) {
		for profile, want := range map[idp.Profile]idp.Refusal{idp.Unverified: ErrUnverified, idp.Restricted: ErrRestricted, idp.Closed: ErrClosed} {
			w := aWorld(t)
			agent := w.holder(Agent, "MID")
			uid := w.add(func(p *directory.Person) { p.Profile = profile }, work("", "MID"))
			w.not(t, agent, ask(uid, "", "key a"), want)
			w.not(t, agent, show(uid, "", "0A key "+uid), want)
		}
	})
	t.Run("own rule: a certificate of another authority names its person", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		w.not(t, agent, show(uid, "", "0A key "+w.nurse("MID")), ErrWhose)
		w.not(t, agent, show(uid, "", "something else"), ErrUntrusted)
		done := w.do(t, agent, show(uid, "", "0A key "+uid))
		if p := w.person(uid); done.ID != "0A" || p.Issuers["0A"] != "THEIRS" || p.Issued["0A"].Key != "key" {
			t.Errorf("%+v, %+v", done, p.Issued)
		}
		w.not(t, agent, show(uid, "", "0A key2 "+uid), idp.ErrTaken)
	})
	t.Run("own rule: a card that was given by its number gets the certificate that it has", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		w.do(t, agent, IssueCard{UID: uid, CardFacts: CardFacts{"0A", 9, "2031-01-01"}})
		w.at = noon.Add(time.Hour)
		w.do(t, agent, show(uid, "", "0A key "+uid))
		p := w.person(uid)
		if len(p.Cards) != 1 || p.Cards[0].EndsOn != "2032-06-03" || p.Issuers["0A"] != "THEIRS" || !p.Issued["0A"].AddedAt.Equal(noon) {
			t.Errorf("%+v, %+v", p.Cards, p.Issued)
		}
		w.not(t, agent, show(w.nurse("MID"), "", "0A key "+uid), ErrWhose)
	})
	t.Run("own rule: without an authority there is nothing to ask for", func(t *testing.T) {
		w := aWorld(t)
		w.CardAuthority, w.CardTrust = nil, nil
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		w.not(t, agent, ask(uid, "", "key a"), ErrNotIssuing)
		w.not(t, agent, show(uid, "", "0A key "+uid), ErrNotIssuing)
	})
	t.Run("own rule: what is given has a form", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "MID"), w.nurse("MID")
		w.not(t, agent, ask(uid, "", ""), ErrField)
		w.not(t, agent, ask(uid, "", strings.Repeat("k", maxCertificateText+1)), ErrField)
		w.not(t, agent, ask(uid, "no serial", "key a"), ErrField)
		w.not(t, agent, IssueCertificate{Certified{UID: uid}, "key a"}, ErrField)
		w.not(t, agent, ask(uid, "", "no key"), ErrCSR)
	})
}

// onlyAsked is an authority that must not sign.
type onlyAsked struct{ authorities }

func (onlyAsked) Certify(string, string, string, time.Time) (Certificate, error) {
	panic("a preview had a certificate signed")
}
