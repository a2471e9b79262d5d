package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// maxCertificateText is how long a request for a certificate, or a certificate,
// may be as it is sent.
const maxCertificateText = 16 << 10

// Certificate is a certificate of a card.
type Certificate struct {
	DER    []byte
	Issuer string // upper-case hex SHA-256 of the public key of its authority
	Serial string // upper-case hex
	Key    string // a hash of the card's public key
	Names  []string
	Ends   time.Time
}

// CardAuthority issues the certificates of cards.
type CardAuthority interface {
	// Asked returns the hash of the key that asks for a certificate, and has
	// signed its request: ErrCSR or ErrCardKey if there is none.
	Asked(csr string) (key string, err error)

	// Until is when a certificate that is issued now ends.
	Until(now time.Time) time.Time

	// Certify issues a certificate of the key that asks. What it says is given
	// here, and nothing of it comes from the request.
	Certify(csr, uid, serial string, now time.Time) (Certificate, error)
}

// CardTrust judges certificates that other authorities have issued.
type CardTrust interface {
	// Judge reads a certificate in PEM by which a card could sign in now. It is
	// ErrUntrusted of what is none.
	Judge(certificate string, now time.Time) (Certificate, error)
}

// Issued is what only the registration authority keeps of a card.
type Issued struct {
	Certificate []byte    // DER; nil: nobody has shown it
	Key         string    // a hash of its public key; "": likewise
	AddedAt     time.Time // zero: it came with a document
	RevokedAt   time.Time // zero: it is not
}

// PEM is the certificate as people hand it on; "" if nobody has shown it.
func (i Issued) PEM() string { return inPEM(i.Certificate) }

func inPEM(der []byte) string {
	if der == nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// CardStanding is how a card stands whose certificate somebody asks about.
type CardStanding struct {
	Serial    string
	Revoked   bool
	RevokedAt time.Time // zero: nobody wrote it down
}

// CardLedger tells a card authority what became of the certificates that it has
// issued.
type CardLedger interface {
	// CardStanding returns how a card of an authority stands; ErrNoCard if there
	// is none.
	CardStanding(ctx context.Context, issuer, serial string) (CardStanding, error)

	// RevokedCards are the revoked cards of an authority that had not ended
	// before a day.
	RevokedCards(ctx context.Context, issuer string, day idp.Date) ([]CardStanding, error)
}

// newCardSerial returns a serial number for a certificate, by chance: 16 bytes,
// of which nobody guesses the next (RFC 5280 §4.1.2.2).
func newCardSerial() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	b[0] = b[0]&0x3F | 0x40
	return strings.ToUpper(hex.EncodeToString(b))
}

// Certified are what both changes have that give a card by its certificate.
type Certified struct {
	UID    string `json:"uid"`
	Series int    `json:"series"`
	Old    string `json:"old,omitempty"` // serial number of the card that it replaces, or whose renewal it is
	Reason string `json:"reason,omitempty"`
}

func (ch Certified) words() string          { return ch.Reason }
func (ch Certified) about(r *Records) About { return r.of(ch.UID) }

func (ch Certified) touches() Touch {
	t := Touch{People: []string{ch.UID}, Policy: true}
	if ch.Old != "" {
		t.Cards = []string{directory.CardSerial(ch.Old)}
	}
	return t
}

func (ch Certified) check(name, text string) error {
	var f checks
	f.uid("uid", ch.UID)
	if ch.Series < 1 || ch.Series > 99 {
		f.add("series", Range)
	}
	if ch.Old != "" && directory.CardSerial(ch.Old) == "" {
		f.add("old", Form)
	}
	switch {
	case strings.TrimSpace(text) == "":
		f.add(name, Missing)
	case len(text) > maxCertificateText:
		f.add(name, TooLong)
	}
	f.reason(ch.Reason, false)
	return f.err()
}

// fit returns who gets the card, once the one that it replaces is revoked.
func (ch Certified) fit(r *Records, c *Case) (*Person, error) {
	p, err := r.person(ch.UID)
	if err != nil {
		return nil, err
	}
	if err := p.fit(); err != nil || ch.Old == "" {
		return p, err
	}
	holder, old := r.card(ch.Old)
	if holder != p {
		return nil, refuse(ErrNoCard, "old", Unknown)
	}
	if old.State != revoked {
		old.State, c.renewed = revoked, directory.CardSerial(ch.Old)
		c.tell(r, p, "mail.removed", map[string]string{"name": directory.CardSerial(ch.Old)})
	}
	return p, nil
}

// free says whether a key may get a certificate for p: one live certificate a
// card, and none for a key that was revoked with its card, whoever's it was:
// somebody may have kept its request. The key of the card that is renewed is good.
func (r *Records) free(p *Person, key, serial, renewed, field string) error {
	of := func(other *Person, c directory.Card) bool { return other.Issued[c.Serial].Key == key }
	for _, c := range p.Cards {
		if renewed != "" && directory.CardSerial(c.Serial) == renewed && of(p, c) {
			return nil
		}
	}
	for _, other := range r.People {
		for _, c := range other.Cards {
			if of(other, c) && (other != p || directory.CardSerial(c.Serial) != serial) {
				return refuse(idp.ErrTaken, field, Taken)
			}
		}
	}
	return nil
}

// record writes down that p has the card with that certificate.
func (ch Certified) record(r *Records, c *Case, p *Person, cert Certificate, field string) error {
	if err := r.free(p, cert.Key, cert.Serial, c.renewed, field); err != nil {
		return err
	}
	facts := CardFacts{Serial: cert.Serial, Series: ch.Series, EndsOn: idp.DateOf(cert.Ends)}
	if err := facts.issue(r, c, p); err != nil {
		return err
	}
	p.keep(cert, c.Now)
	reason := ch.Reason
	if ch.Old != "" {
		reason = join(reason, "in the place of "+directory.CardSerial(ch.Old))
	}
	c.journal(r, idp.Event{Subject: p.UID, Authenticator: "card:" + cert.Serial, Reason: reason})
	return nil
}

// keep keeps a certificate of one of p's cards.
func (p *Person) keep(cert Certificate, now time.Time) {
	if p.Issuers == nil {
		p.Issuers = map[string]string{}
	}
	if p.Issued == nil {
		p.Issued = map[string]Issued{}
	}
	added := p.Issued[cert.Serial].AddedAt
	if added.IsZero() {
		added = now
	}
	p.Issuers[cert.Serial] = cert.Issuer
	p.Issued[cert.Serial] = Issued{Certificate: cert.DER, Key: cert.Key, AddedAt: added}
}

// IssueCertificate gives a person a card whose certificate the service's own
// authority issues. Who the card is of stands in the certificate, whatever the
// card has written into its request.
type IssueCertificate struct {
	Certified
	CSR string `json:"csr"` // PKCS#10 in PEM, by the card's own key
}

// Kind implements Change.
func (IssueCertificate) Kind() Kind { return CertificateIssued }

func (ch IssueCertificate) check() error { return ch.Certified.check("csr", ch.CSR) }

func (ch IssueCertificate) make(r *Records, c *Case) error {
	p, err := ch.fit(r, c)
	if err != nil {
		return err
	}
	cert := Certificate{Serial: newCardSerial(), Key: c.Shown.Key, Ends: c.authority.Until(c.Now)}
	if !c.trial {
		if cert, err = c.authority.Certify(ch.CSR, p.UID, cert.Serial, c.Now); err != nil {
			return err
		}
	}
	if err := ch.record(r, c, p, cert, "csr"); err != nil {
		return err
	}
	c.Done.Certificate = inPEM(cert.DER)
	return nil
}

// RecordCertificate gives a person a card whose certificate another authority
// has issued, or writes down the certificate of a card that they have.
type RecordCertificate struct {
	Certified
	Certificate string `json:"certificate"` // PEM
}

// Kind implements Change.
func (RecordCertificate) Kind() Kind { return CertificateRecorded }

func (ch RecordCertificate) check() error { return ch.Certified.check("certificate", ch.Certificate) }

func (ch RecordCertificate) make(r *Records, c *Case) error {
	p, err := ch.fit(r, c)
	if err != nil {
		return err
	}
	cert := c.Shown
	if !slices.Contains(cert.Names, p.UID) {
		return refuse(ErrWhose, "certificate", Unknown)
	}
	holder, card := r.card(cert.Serial)
	if holder != p || card.State == revoked || p.Issued[card.Serial].Certificate != nil {
		return ch.record(r, c, p, cert, "certificate")
	}
	if err := r.free(p, cert.Key, cert.Serial, c.renewed, "certificate"); err != nil {
		return err
	}
	delete(p.Issuers, card.Serial)
	added := p.Issued[card.Serial].AddedAt
	delete(p.Issued, card.Serial)
	card.Serial, card.EndsOn = cert.Serial, idp.DateOf(cert.Ends)
	p.keep(cert, added)
	c.Done.ID, c.Done.Person = cert.Serial, p
	c.journal(r, idp.Event{Subject: p.UID, Authenticator: "card:" + cert.Serial})
	return nil
}

// shown reads the request, or the certificate, of a change.
func (s *Service) shown(c *Case, ch Change) error {
	var err error
	switch ch := ch.(type) {
	case IssueCertificate:
		if c.authority = s.CardAuthority; c.authority == nil {
			return ErrNotIssuing
		}
		c.Shown.Key, err = s.CardAuthority.Asked(ch.CSR)
	case RecordCertificate:
		if s.CardTrust == nil {
			return ErrNotIssuing
		}
		c.Shown, err = s.CardTrust.Judge(ch.Certificate, c.Now)
	}
	return err
}

// certifiedCard is a card whose certificate somebody may ask about.
type certifiedCard struct {
	uid, issuer string
	card        directory.Card
	issued      Issued
}

// certified are the cards with a certificate.
func (r *Records) certified() []certifiedCard {
	var all []certifiedCard
	for uid, p := range r.People {
		for _, c := range p.Cards {
			if is := p.Issued[c.Serial]; is.Certificate != nil {
				all = append(all, certifiedCard{uid, p.Issuers[c.Serial], c, is})
			}
		}
	}
	return all
}

// remember brings cards back that a change has taken away, as revoked ones. A
// certificate counts until it ends or is revoked, so whatever the way that a card
// goes, it is never forgotten.
func (r *Records) remember(cards []certifiedCard) {
	there := map[string]bool{}
	for _, p := range r.People {
		for _, c := range p.Cards {
			there[directory.CardSerial(c.Serial)] = true
		}
	}
	for _, was := range cards {
		p, c := r.People[was.uid], was.card
		if there[directory.CardSerial(c.Serial)] || p == nil {
			continue
		}
		c.State, c.Registered = revoked, true
		p.Cards = append(p.Cards, c)
		if p.Issuers == nil {
			p.Issuers = map[string]string{}
		}
		if p.Issued == nil {
			p.Issued = map[string]Issued{}
		}
		p.Issuers[c.Serial], p.Issued[c.Serial] = was.issuer, was.issued
	}
}

// revokedCards are the serial numbers of the cards that are revoked.
func (r *Records) revokedCards() map[string]bool {
	all := map[string]bool{}
	for _, p := range r.People {
		for _, c := range p.Cards {
			if c.State == revoked {
				all[c.Serial] = true
			}
		}
	}
	return all
}

// date writes down since when cards are revoked that were not before. Since when
// others are that have no date, nobody knows.
func (r *Records) date(before map[string]bool, now time.Time) {
	for _, p := range r.People {
		for _, c := range p.Cards {
			if was := p.Issued[c.Serial]; c.State == revoked && !before[c.Serial] {
				if p.Issued == nil {
					p.Issued = map[string]Issued{}
				}
				was.RevokedAt = now
				p.Issued[c.Serial] = was
			}
		}
	}
}

// issuedNow writes down since when p has a card.
func (p *Person) issuedNow(serial string, now time.Time) {
	if p.Issued == nil {
		p.Issued = map[string]Issued{}
	}
	p.Issued[serial] = Issued{AddedAt: now}
}
