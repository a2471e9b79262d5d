package cis1

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
)

// Words of role assertions, to the letter. SAML 1.1 §3.4, and the old service's
// own.
const (
	protocolNS = "urn:oasis:names:tc:SAML:1.0:protocol"
	samlNS     = "urn:oasis:names:tc:SAML:1.0:assertion"
	roleNS     = "http://www.syntegra.com"
	people     = ",ou=People,o=nhs"
	nhs        = "o=nhs"
	confirmed  = "urn:com:sun:identity"
	loginWay   = "urn:com:sun:identity:ExtendedLoginModule"
	ssbVersion = "1.1"
	liveMode   = "0" // 1 was training

	before, after = 3 * time.Minute, time.Minute // around its issue an assertion is good
)

// assert answers with the roles of an SSO token's person.
func (s *Server) assert(w http.ResponseWriter, r *http.Request) {
	sso := token(r.URL.Query(), "token")

	session, p, err := s.Sessions.Find(r.Context(), sso)
	if err != nil && !errors.Is(err, idp.ErrToken) {
		s.saml(w, r, http.StatusServiceUnavailable, response{to: from(r), status: "samlp:Responder"})
		s.Log.WarnContext(r.Context(), "bridge put off", "error", err.Error())
		return
	}

	a := response{at: s.Now(), to: from(r), status: "samlp:Requester"}
	if err == nil {
		a.status, a.of = "samlp:Success", &assertion{session: session, person: p, token: sso}
		s.count(r, cis1.Assertion, "roleassertion", session, p)
		s.Log.InfoContext(r.Context(), "bridge asserted", "subject", session.Subject, "sid", session.ID, "role", session.Role)
	}
	s.saml(w, r, http.StatusOK, a)
}

// saml writes a response.
func (s *Server) saml(w http.ResponseWriter, r *http.Request, status int, a response) {
	a.at = s.Now()
	root := a.element()
	if s.Signer != nil && a.of != nil { // a refusal asserts nothing, and costs no signature
		signed, err := s.seals.sign(root, s.Signer, s.Now())
		if err != nil {
			s.Log.ErrorContext(r.Context(), "bridge cannot sign", "error", err.Error())
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		root = signed
	}
	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	doc.SetRoot(root)
	body, err := doc.WriteToBytes()
	if err != nil {
		s.Log.ErrorContext(r.Context(), "bridge cannot write", "error", err.Error(), "request", api.RequestID(r.Context()))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who does not listen is not told
}

// response is an answer of SAML 1.1; of is nil where it is not a success.
type response struct {
	at     time.Time
	to     string
	status string
	of     *assertion
}

// assertion is what a response says of somebody.
type assertion struct {
	session idp.Session
	person  idp.Person
	token   string
}

// element writes a. Its ids are those of the old service, which had none: an
// answer belongs to the connection that it comes by.
func (a response) element() *etree.Element {
	root := etree.NewElement("samlp:Response")
	for _, attr := range [][2]string{{"xmlns:samlp", protocolNS}, {"ResponseID", "null"}, {"InResponseTo", "null"}, {"MajorVersion", "1"},
		{"MinorVersion", "1"}, {"IssueInstant", instant(a.at)}, {"Recipient", a.to}} {
		root.CreateAttr(attr[0], attr[1])
	}
	root.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", a.status)
	if a.of == nil {
		return root
	}
	outer := a.assertion(root)
	outer.CreateAttr("xmlns:saml", samlNS)
	statement := outer.CreateElement("saml:AttributeStatement")
	inner := a.assertion(a.subject(statement))
	login := inner.CreateElement("saml:AuthenticationStatement")
	login.CreateAttr("AuthenticationMethod", loginWay)
	login.CreateAttr("AuthenticationInstant", instant(a.of.session.AuthTime))
	a.subject(login).SetText(a.of.token)
	for _, attr := range a.of.attributes(a.at) {
		e := statement.CreateElement("saml:Attribute")
		e.CreateAttr("AttributeName", attr.name)
		e.CreateAttr("AttributeNamespace", roleNS)
		for _, v := range attr.values {
			e.CreateElement("saml:AttributeValue").SetText(v)
		}
	}
	return root
}

// assertion writes an assertion without statements into in.
func (a response) assertion(in *etree.Element) *etree.Element {
	e := in.CreateElement("saml:Assertion")
	for _, attr := range [][2]string{{"MajorVersion", "1"}, {"MinorVersion", "1"}, {"AssertionID", newID()}, {"Issuer", nhs}, {"IssueInstant", instant(a.at)}} {
		e.CreateAttr(attr[0], attr[1])
	}
	conditions := e.CreateElement("saml:Conditions")
	conditions.CreateAttr("NotBefore", instant(a.at.Add(-before)))
	conditions.CreateAttr("NotOnOrAfter", instant(a.at.Add(after)))
	return e
}

// subject writes whom a statement is about, and returns where it says why that
// is believed.
func (a response) subject(in *etree.Element) *etree.Element {
	e := in.CreateElement("saml:Subject")
	name := e.CreateElement("saml:NameIdentifier")
	name.CreateAttr("NameQualifier", nhs)
	name.SetText("uid=" + a.of.session.Subject + people)
	confirmation := e.CreateElement("saml:SubjectConfirmation")
	confirmation.CreateElement("saml:ConfirmationMethod").SetText(confirmed)
	return confirmation.CreateElement("saml:SubjectConfirmationData")
}

// attribute is a name with its values.
type attribute struct {
	name   string
	values []string
}

// attributes are those of a: of the person first, then a block for each role,
// which begins with the code of its organisation. What is empty is left out.
func (a assertion) attributes(now time.Time) []attribute {
	var all []attribute
	add := func(name string, values ...string) {
		var said []string
		for _, v := range values {
			if v != "" {
				said = append(said, v)
			}
		}
		if len(said) > 0 {
			all = append(all, attribute{name, said})
		}
	}
	add("ssbAssertionVersion", ssbVersion)
	add("cn", commonName(a.person))
	add("uid", a.person.UID)
	add("nhsOcsPrCode", a.person.Professional["gmp_id"])
	add("ssbSessionRoleUid", roleOf(a.session, a.person, now))
	add("ssbMode", liveMode)
	for _, role := range a.person.Current(now) {
		add("nhsIdCode", role.Organisation.Code)
		add("o", role.Organisation.Name)
		add("nhsJobRole", role.RoleName)
		add("nhsJobRoleCode", role.RoleCode)
		add("uniqueIdentifier", role.ID)
		for _, list := range []struct {
			name  string
			coded []idp.Coded
		}{{"nhsAreaOfWork", role.AreasOfWork}, {"nhsWorkGroups", role.Workgroups}, {"nhsBusinessFunctions", role.Activities}} {
			var names, codes []string
			for _, c := range list.coded {
				names, codes = append(names, c.Name), append(codes, c.Code)
			}
			add(list.name, names...)
			add(list.name+"Codes", codes...)
		}
	}
	return all
}

// roleOf is the position that a session works in, if its person still has it.
func roleOf(s idp.Session, p idp.Person, now time.Time) string {
	if _, holds := p.Position(s.Role, now); !holds {
		return ""
	}
	return s.Role
}

// commonName is how the old service writes people.
func commonName(p idp.Person) string {
	return strings.TrimSpace(strings.ToUpper(p.Name.Family) + " " + p.Name.Given)
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "_" + hex.EncodeToString(b[:])
}

// seals signs responses. The certificate that goes along says only which key it
// was: applications that check compare it with the one that they were given.
type seals struct {
	mu          sync.Mutex
	of          string // the key, as its certificate has it
	certificate []byte
}

// sign returns root with an enveloped signature (RSA, SHA-256, exclusive
// canonical XML). What is signed has an ID of its own, and it is the whole.
func (ss *seals) sign(root *etree.Element, signer func() (crypto.Signer, time.Time, bool), now time.Time) (*etree.Element, error) {
	key, since, ok := signer()
	if !ok {
		return nil, errors.New("no key signs with RSA")
	}
	certificate, err := ss.certificateOf(key, since, now)
	if err != nil {
		return nil, err
	}
	c, err := dsig.NewSigningContext(key, [][]byte{certificate})
	if err != nil {
		return nil, err
	}
	c.IdAttribute, c.Canonicalizer = "ResponseID", dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := c.SetSignatureMethod(dsig.RSASHA256SignatureMethod); err != nil {
		return nil, err
	}
	root.CreateAttr("ResponseID", newID())
	return c.SignEnveloped(root)
}

// certificateOf returns a certificate of the key by itself.
func (ss *seals) certificateOf(key crypto.Signer, since, now time.Time) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a key of kind %T signs no assertions", key.Public())
	}
	name := public.N.Text(16)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.of == name {
		return ss.certificate, nil
	}
	if since.IsZero() || since.After(now) {
		since = now
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "role assertions"}, NotBefore: since.UTC(), NotAfter: since.UTC().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, SignatureAlgorithm: x509.SHA256WithRSA}
	made, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the signing key: %w", err)
	}
	ss.of, ss.certificate = name, made
	return made, nil
}
