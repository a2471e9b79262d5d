package passkey

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Facts are what was proved of a key when it was added, and what is known of
// its model.
type Facts struct {
	Format   string   // of the attestation
	Model    [16]byte // its AAGUID
	Verified bool     // UV: the key verified its person
	Eligible bool     // BE: the key may be copied to other devices
	BackedUp bool     // BS: and it was
	Chained  bool     // certificates lead from the attestation to a root of the model's
	Stands   bool     // the metadata is in time and has nothing against the model, nor has our policy
}

// Worth says how a key signs in, and how surely. AAL3 is for a key that cannot
// leave the device that it was made in, which its maker proves. An attestation
// without certificates proves nothing, whatever it claims: in "none" there is
// no signature, and "self" is signed by the key itself, so that either can
// name any model. A model of zeros is no model.
func Worth(f Facts) (authenticators.Method, authenticators.Level) {
	bound := f.Verified && !f.Eligible && !f.BackedUp
	if !bound || !f.Chained || !f.Stands || f.Model == [16]byte{} {
		return authenticators.Passkey, authenticators.AAL2
	}
	switch protocol.AttestationFormat(f.Format) {
	case protocol.AttestationFormatApple:
		return authenticators.Apple, authenticators.AAL3
	case protocol.AttestationFormatPacked, protocol.AttestationFormatTPM, protocol.AttestationFormatAndroidKey:
		return authenticators.FIDO2, authenticators.AAL3
	default: // U2F keys verify nobody and name no model; the others prove less than their parts
		return authenticators.Passkey, authenticators.AAL2
	}
}

// Recheck judges a key anew, by the metadata of today, and returns how it
// signs in and how surely: never above what it is held for. It checks the
// attestation's certificates again, which a sign-in does not; it is for a job
// at night, which lowers what is found to be worth less.
func (r *Room) Recheck(ctx context.Context, held authenticators.Authenticator) (authenticators.Method, authenticators.Level, error) {
	rec, err := recordOf(held)
	if err != nil {
		return "", 0, err
	}
	if held.Level < authenticators.AAL3 || held.SelfClaimed {
		method, level := r.present(held, rec)
		return method, level, nil
	}
	attestation, err := rec.attestation()
	if err != nil {
		return "", 0, fmt.Errorf("recheck %s: %w", held.Called(), err)
	}
	// The certificates are judged by the day of the enrolment, which is the
	// day that they spoke of: some live for days only.
	method, level := Worth(r.facts(ctx, r.metadata.now(), attestation, rec.ProvedAt))
	return method, level, nil
}

// facts gathers what Worth asks, of an attestation whose statement the library
// has checked, made at that time.
func (r *Room) facts(ctx context.Context, b *blob, a protocol.AttestationObject, at time.Time) Facts {
	flags := a.AuthData.Flags
	f := Facts{
		Format: a.Format, Verified: flags.HasUserVerified(), Eligible: flags.HasBackupEligible(), BackedUp: flags.HasBackupState(),
		Chained: b.chained(ctx, a, at),
	}
	copy(f.Model[:], a.AuthData.AttData.AAGUID)
	f.Stands = b.stands(f.Model, r.policy, r.now())
	return f
}

// stands says whether a model is still one that may be worth AAL3.
func (r *Room) stands(model [16]byte) bool { return r.metadata.now().stands(model, r.policy, r.now()) }

// certifications are those of the FIDO Alliance, each better than the ones
// before it.
var certifications = []metadata.AuthenticatorStatus{
	metadata.FidoCertified, metadata.FidoCertifiedL1, metadata.FidoCertifiedL1plus, metadata.FidoCertifiedL2,
	metadata.FidoCertifiedL2plus, metadata.FidoCertifiedL3, metadata.FidoCertifiedL3plus,
}

// Check says what is wrong with a policy.
func (p Policy) Check() error {
	if p.Certified != "" && !slices.Contains(certifications, metadata.AuthenticatorStatus(p.Certified)) {
		return fmt.Errorf("%q is no certification, such as %s", p.Certified, metadata.FidoCertifiedL1)
	}
	for _, m := range p.Models {
		if b, err := hex.DecodeString(strings.ReplaceAll(m, "-", "")); err != nil || len(b) != 16 || spelt([16]byte(b)) != strings.ToLower(m) {
			return fmt.Errorf("%q is no AAGUID", m)
		}
	}
	if p.Grace < 0 {
		return errors.New("the grace of metadata is negative")
	}
	return nil
}

// spelt returns an AAGUID in the usual spelling.
func spelt(m [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", m[:4], m[4:6], m[6:8], m[8:10], m[10:])
}

// stands says whether metadata that is in time knows the model and has nothing
// against it, and policy allows it. A report about some certificates of a
// model counts for all of it.
func (b *blob) stands(model [16]byte, p Policy, now time.Time) bool {
	entry := b.entry(model)
	if entry == nil || now.After(b.nextUpdate.Add(p.Grace)) {
		return false
	}
	if len(p.Models) > 0 && !slices.ContainsFunc(p.Models, func(m string) bool { return strings.EqualFold(m, spelt(model)) }) {
		return false
	}
	reports := metadata.EffectiveStatusReports(entry.StatusReports, now)
	if len(reports) == 0 || metadata.ValidateStatusReportsAt(reports, nil, metadata.DefaultUndesiredAuthenticatorStatuses(), now) != nil {
		return false
	}
	least := slices.Index(certifications, metadata.AuthenticatorStatus(p.Certified))
	return p.Certified == "" || slices.ContainsFunc(reports, func(s metadata.StatusReport) bool {
		return slices.Index(certifications, s.Status) >= least
	})
}

// chained says whether an attestation is such as its model makes, and its
// certificates lead to a root of that model, at that time.
func (b *blob) chained(ctx context.Context, a protocol.AttestationObject, at time.Time) bool {
	if len(a.AuthData.AttData.AAGUID) != 16 {
		return false
	}
	model := [16]byte(a.AuthData.AttData.AAGUID)
	entry := b.entry(model)
	certs := certificates(a)
	if entry == nil || len(certs) == 0 {
		return false
	}
	if protocol.ValidateMetadataWithAuthenticatorData(ctx, b.checks, model, a.Type, a.Format, nil, &a.AuthData) != nil {
		return false
	}
	options := entry.MetadataStatement.Verifier(certs[1:])
	options.CurrentTime = at
	_, err := certs[0].Verify(options)
	return err == nil
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// certificates returns those of an attestation, its own first; nothing if one
// cannot be read.
func certificates(a protocol.AttestationObject) []*x509.Certificate {
	list, _ := a.AttStatement["x5c"].([]any)
	certs := make([]*x509.Certificate, 0, len(list))
	for _, v := range list {
		der, _ := v.([]byte)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		certs = append(certs, c)
	}
	// A TPM's certificate names the TPM in a critical extension that package
	// x509 does not read, and the library has.
	if len(certs) > 0 && a.Format == string(protocol.AttestationFormatTPM) {
		certs[0].UnhandledCriticalExtensions = slices.DeleteFunc(certs[0].UnhandledCriticalExtensions, subjectAltName.Equal)
	}
	return certs
}
