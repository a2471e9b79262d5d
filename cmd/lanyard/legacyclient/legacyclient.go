// Package legacyclient is an agent and an application of the old service (CIS1)
// in software, for tests, and what an agent of Lanyard's does otherwise there. It was written from what is known of that service and
// knows nothing of ours: it takes no word, path or parser of it.
package legacyclient

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
)

// Agent is the program at a desk.
type Agent struct {
	Base    string // of the gateway
	Device  string
	Log     string // ten letters that name the session
	Version string // of its User-Agent
	Program string // of its User-Agent, where it is none of the old agents
	UID     string // as its card says
	HTTP    *http.Client

	Card crypto.Signer // the key of its card
	X509 *x509.Certificate
	Hash crypto.Hash // that signs; SHA-1 as the agents did
	Bare bool        // the card signs the challenge itself, without attributes

	Key    *ecdsa.PrivateKey // of an agent of Lanyard's, which the card signs; nil: it is one of the old service's
	Bridge string            // where that one knows the gateway to be; empty: at Base

	Ticket  string
	Session map[string]string // what authvalidate told
	Roles   []Role
}

// Role is one of those that a person may choose.
type Role struct{ ID, Org, Text string }

// Refused is what the gateway says instead of an answer.
type Refused struct {
	Status int
	Params map[string]string
}

// Error says the code of the refusal.
func (r Refused) Error() string { return fmt.Sprintf("%d %s", r.Status, r.Params["error_code"]) }

type gp struct {
	XMLName xml.Name  `xml:"gpOBJECT"`
	Params  []gpParam `xml:"gpPARAM"`
}

type gpParam struct {
	Name     string `xml:"name,attr"`
	ID       string `xml:"id,attr,omitempty"`
	Org      string `xml:"orgcode,attr,omitempty"`
	Encoding string `xml:"encoding,attr,omitempty"`
	Text     string `xml:",chardata"`
}

// Post sends parameters to a path, and returns what the gateway answers.
func (a *Agent) Post(ctx context.Context, path string, params ...[2]string) (map[string]string, []Role, []byte, error) {
	o := gp{}
	for _, p := range params {
		q := gpParam{Name: p[0], Text: p[1]}
		if p[0] == "response" {
			if q.Encoding = "base64"; a.Key != nil {
				q.Encoding = "jws"
			}
		}
		o.Params = append(o.Params, q)
	}
	body, err := xml.Marshal(o)
	if err != nil {
		return nil, nil, nil, err
	}
	return a.send(ctx, http.MethodPost, path, bytes.NewReader(append([]byte(xml.Header), body...)))
}

func (a *Agent) send(ctx context.Context, method, path string, body io.Reader) (map[string]string, []Role, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.Base+path, body)
	if err != nil {
		return nil, nil, nil, err
	}
	req.Header.Set("User-Agent", "Mozilla/4.0(compatible;IE;GACv"+a.Version+")")
	if a.Program != "" {
		req.Header.Set("User-Agent", a.Program+"/"+a.Version)
	}
	req.Header.Set("Analytics", `{"OS":"Windows","Mode":"Normal","CardReaders":["Virtual"]}`)
	req.Header.Set("Content-Type", "text/xml")
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, nil, err
	}
	var answer gp
	said := map[string]string{}
	if err := xml.Unmarshal(raw, &answer); err != nil {
		return nil, nil, raw, fmt.Errorf("%d: %w", resp.StatusCode, err)
	}
	var roles []Role
	for _, p := range answer.Params {
		said[p.Name] = p.Text
		if strings.HasPrefix(p.Name, "nhsjobrole") {
			roles = append(roles, Role{p.ID, p.Org, p.Text})
		}
	}
	if resp.StatusCode != http.StatusOK {
		return said, nil, raw, Refused{resp.StatusCode, said}
	}
	return said, roles, raw, nil
}

// Activate asks for a challenge.
func (a *Agent) Activate(ctx context.Context) (challenge, signature string, raw []byte, err error) {
	said, _, raw, err := a.Post(ctx, "/login/authactivate", [2]string{"service", "ACTIVATION"}, [2]string{"auth_method", "3"},
		[2]string{"app_url", "NHST"}, [2]string{"log_session_id", a.Log}, [2]string{"device_id", a.Device + ",ClientIP=10.1.2.3"})
	return said["challenge"], said["signature"], raw, err
}

// Validate brings what the card has signed.
func (a *Agent) Validate(ctx context.Context, challenge, signature, response string) ([]byte, error) {
	params := [][2]string{{"service", "AUTHENTICATION"}, {"auth_method", "3"},
		{"app_url", "NHST"}, {"log_session_id", a.Log}, {"device_id", a.Device + ",ClientIP=10.1.2.3"},
		{"challenge", challenge}, {"signature", signature}, {"uid", a.UID}, {"card_type", "p11"},
		{"response", response}, {"mobility", "0"}}
	if a.Key != nil {
		params = append(params, [2]string{"certificate", base64.StdEncoding.EncodeToString(a.X509.Raw)})
	}
	said, roles, raw, err := a.Post(ctx, "/login/authvalidate", params...)
	if err == nil {
		a.Session, a.Roles, a.Ticket = said, roles, said["sso_ticket"]
	}
	return raw, err
}

// SignIn does both, with the card in between.
func (a *Agent) SignIn(ctx context.Context) error {
	challenge, signature, _, err := a.Activate(ctx)
	if err != nil {
		return err
	}
	response, err := a.Sign(challenge)
	if err != nil {
		return err
	}
	_, err = a.Validate(ctx, challenge, signature, response)
	return err
}

// Choose lets the session work in a role.
func (a *Agent) Choose(ctx context.Context, role string) ([]byte, error) {
	q := url.Values{"token": {a.Ticket}, "selectedRoleUid": {role}, "ssbMode": {"0"}, "fallbackStatus": {"0"}, "gacVersion": {a.Version}}
	_, _, raw, err := a.send(ctx, http.MethodGet, "/saml/RoleSelectionGP.jsp?"+q.Encode(), nil)
	return raw, err
}

// SignOut ends the session, where the gateway said to.
func (a *Agent) SignOut(ctx context.Context) error {
	to := a.Session["sso_logout_url"]
	if !strings.HasPrefix(to, a.Base+"/") {
		return fmt.Errorf("the gateway says to sign out at %q", to)
	}
	_, _, _, err := a.Post(ctx, strings.TrimPrefix(to, a.Base), [2]string{"service", "LOGOUT"}, [2]string{"sso_ticket", a.Ticket},
		[2]string{"log_session_id", a.Log}, [2]string{"device_id", a.Device + ",ClientIP=10.1.2.3"}, [2]string{"uid", a.UID})
	return err
}

// Ask is a request of an application: the answer's status and text.
func (a *Agent) Ask(ctx context.Context, path string, q url.Values) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Base+path+"?"+q.Encode(), nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// The parts of CMS SignedData, RFC 5652 §5, of which only one signer with one
// certificate is needed.
type (
	algorithmID struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	signerInfo struct {
		Version   int
		SID       issuerAndSerial
		Digest    algorithmID
		Attrs     asn1.RawValue `asn1:"optional"`
		Algorithm algorithmID
		Signature []byte
	}
	encapsulated struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version      int
		Digests      []algorithmID `asn1:"set"`
		Content      encapsulated
		Certificates asn1.RawValue
		Signers      []signerInfo `asn1:"set"`
	}
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidECDSASHA256   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidDigests       = map[crypto.Hash]asn1.ObjectIdentifier{crypto.SHA1: {1, 3, 14, 3, 2, 26}, crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1}}
)

// Sign has the card sign a challenge, as the agents wrote it: CMS in base64
// behind the header of a mail, and all of it in base64.
func (a *Agent) Sign(challenge string) (string, error) {
	content, err := base64.StdEncoding.DecodeString(challenge)
	if err != nil {
		return "", err
	}
	if a.Key != nil {
		input, err := a.Opening(content)
		if err != nil {
			return "", err
		}
		digest := sha256.Sum256([]byte(input))
		signature, err := a.Card.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
		return input + "." + base64.RawURLEncoding.EncodeToString(signature), err
	}
	der, err := a.CMS(content)
	if err != nil {
		return "", err
	}
	var mail strings.Builder
	mail.WriteString("MIME-Version: 1.0\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n" +
		"Content-Type: application/x-pkcs7-mime; smime-type=signed-data; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for text := base64.StdEncoding.EncodeToString(der); text != ""; {
		n := min(64, len(text))
		mail.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return base64.StdEncoding.EncodeToString([]byte(mail.String())), nil
}

// Opening is what the card signs for an agent of Lanyard's, by RSA-PSS.
func (a *Agent) Opening(content []byte) (string, error) {
	text := base64.RawURLEncoding.EncodeToString
	point, err := a.Key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
	jwk := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + text(point[1:33]) + `","y":"` + text(point[33:]) + `"}`))
	card, at := sha256.Sum256(a.X509.Raw), a.Bridge
	if at == "" {
		at = a.Base
	}
	return text([]byte(`{"alg":"PS256","typ":"desk-gateway+jws","x5t#S256":"`+text(card[:])+`"}`)) + "." +
		text([]byte(`{"v":1,"gateway":"`+at+`","sn":"`+text(content)+`","epk":"`+text(jwk[:])+`"}`)), nil
}

// CMS is the card's message over content.
func (a *Agent) CMS(content []byte) ([]byte, error) {
	digestID := algorithmID{Algorithm: oidDigests[a.Hash], Parameters: asn1.NullRawValue}
	signer := signerInfo{Version: 1, SID: issuerAndSerial{Issuer: asn1.RawValue{FullBytes: a.X509.RawIssuer}, Serial: a.X509.SerialNumber},
		Digest: digestID, Algorithm: algorithmID{Algorithm: oidRSA, Parameters: asn1.NullRawValue}}
	if _, ok := a.Card.Public().(*rsa.PublicKey); !ok {
		if a.Hash != crypto.SHA256 {
			return nil, errors.New("a card of that kind signs with SHA-256 here")
		}
		signer.Algorithm = algorithmID{Algorithm: oidECDSASHA256}
	}
	toSign := content
	if !a.Bare {
		signed, as, err := attributes(a.sum(content))
		if err != nil {
			return nil, err
		}
		toSign, signer.Attrs = signed, as
	}
	var err error
	if signer.Signature, err = a.Card.Sign(rand.Reader, a.sum(toSign), a.Hash); err != nil {
		return nil, err
	}
	return asn1.Marshal(contentInfo{Type: oidSignedData, Content: signedData{Version: 1, Digests: []algorithmID{digestID},
		Content:      encapsulated{Type: oidData, Content: content},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: a.X509.Raw},
		Signers:      []signerInfo{signer}}})
}

func (a *Agent) sum(b []byte) []byte {
	h := a.Hash.New()
	h.Write(b)
	return h.Sum(nil)
}

// attributes are what is signed in place of the content: as a set, and as it
// stands in the message.
func attributes(digest []byte) ([]byte, asn1.RawValue, error) {
	kind, err1 := asn1.Marshal(oidData)
	sum, err2 := asn1.Marshal(digest)
	set, err3 := asn1.MarshalWithParams([]attribute{
		{oidContentType, []asn1.RawValue{{FullBytes: kind}}}, {oidMessageDigest, []asn1.RawValue{{FullBytes: sum}}},
	}, "set")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, asn1.RawValue{}, err
	}
	var inner asn1.RawValue
	if _, err := asn1.Unmarshal(set, &inner); err != nil {
		return nil, asn1.RawValue{}, err
	}
	return set, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner.Bytes}, nil
}
