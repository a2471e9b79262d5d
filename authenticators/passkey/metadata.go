package passkey

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
)

// maxMetadata is several times what the FIDO Alliance publishes.
const maxMetadata = 64 << 20

// metadataSigner is who signs what the FIDO Alliance publishes. The root is of
// a public authority, so without a name any customer of theirs could sign.
const metadataSigner = "mds.fidoalliance.org"

// Source is where metadata comes from: a file that an administrator fetched
// from the FIDO Alliance, signed by it. Nothing is asked of any network; the
// library's decoder asks, which is why it is not used.
type Source struct {
	File string
	Root *x509.Certificate // who the signature must lead to; nil means the FIDO Alliance's
	Now  func() time.Time
}

// Metadata is what the FIDO Alliance says of the models of keys: whose
// attestations to believe, and which models have come to grief. It is safe for
// concurrent use; a nil one knows no model.
type Metadata struct {
	source  Source
	current atomic.Pointer[blob]

	mu   sync.Mutex // one reads at a time
	read os.FileInfo
}

// blob is one edition, which never changes.
type blob struct {
	no         int
	nextUpdate time.Time
	unread     int
	checks     *memory.Provider // the library's view of it
	entries    map[[16]byte]*metadata.Entry
}

// Load reads the metadata of a file, or says why it cannot be believed.
func Load(s Source) (*Metadata, error) {
	if s.Now == nil {
		return nil, errors.New("load metadata: no clock")
	}
	if s.Root == nil {
		der, err := base64.StdEncoding.DecodeString(metadata.ProductionMDSRoot)
		if err != nil {
			return nil, fmt.Errorf("load metadata: %w", err)
		}
		if s.Root, err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("load metadata: %w", err)
		}
	}
	m := &Metadata{source: s}
	if _, err := m.Reload(); err != nil {
		return nil, err
	}
	return m, nil
}

// Reload reads the file again if it has changed since, and says whether it
// did. What cannot be believed, and an older edition than the present one, is
// an error and changes nothing. It is for the caller to run now and then.
func (m *Metadata) Reload() (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	file, err := os.Open(m.source.File)
	if err != nil {
		return false, fmt.Errorf("read metadata: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	info, err := file.Stat()
	if err != nil {
		return false, fmt.Errorf("read metadata: %w", err)
	}
	if m.read != nil && os.SameFile(m.read, info) && m.read.ModTime().Equal(info.ModTime()) && m.read.Size() == info.Size() {
		return false, nil
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxMetadata+1))
	if err != nil {
		return false, fmt.Errorf("read metadata: %w", err)
	}
	b, err := open(raw, m.source.Root, m.source.Now())
	if err != nil {
		return false, fmt.Errorf("metadata in %s: %w", m.source.File, err)
	}
	if old := m.current.Load(); old != nil && b.no < old.no {
		return false, fmt.Errorf("metadata in %s: its number is %d, and %d was read before: somebody put an old one back", m.source.File, b.no, old.no)
	}
	m.current.Store(b)
	m.read = info
	return true, nil
}

// Number returns the number of the edition.
func (m *Metadata) Number() int { return m.now().number() }

// NextUpdate returns when the next edition is due. After that day, models that
// were revoked since are not known; after the grace of Policy no key is worth
// AAL3. Whoever runs the service should hear of it well before.
func (m *Metadata) NextUpdate() time.Time {
	if b := m.now(); b != nil {
		return b.nextUpdate
	}
	return time.Time{}
}

// Stale returns for how long the next edition has been due; not positive means
// that it is not yet.
func (m *Metadata) Stale() time.Duration {
	if m.now() == nil {
		return 0
	}
	return m.source.Now().Sub(m.NextUpdate())
}

// Models returns how many models the edition tells of, and of how many it has
// what cannot be read: a key of those is worth AAL2.
func (m *Metadata) Models() (known, unread int) {
	if b := m.now(); b != nil {
		return len(b.entries), b.unread
	}
	return 0, 0
}

// now returns the present edition, or nil.
func (m *Metadata) now() *blob {
	if m == nil {
		return nil
	}
	return m.current.Load()
}

// number returns the number of the edition; none has 0.
func (b *blob) number() int {
	if b == nil {
		return 0
	}
	return b.no
}

// entry returns what is said of a model, or nil. Zeros name no model.
func (b *blob) entry(model [16]byte) *metadata.Entry {
	if b == nil || model == [16]byte{} {
		return nil
	}
	return b.entries[model]
}

// called returns what a model is called; empty: not known.
func (b *blob) called(model [16]byte) string {
	if e := b.entry(model); e != nil {
		return e.MetadataStatement.Description
	}
	return ""
}

// open checks who signed an edition, and reads it.
func open(raw []byte, root *x509.Certificate, now time.Time) (*blob, error) {
	if len(raw) > maxMetadata {
		return nil, errors.New("it is too large")
	}
	message, err := jose.ParseSignedCompact(string(raw), []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
	})
	if err != nil {
		return nil, errors.New("it is no signed message")
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	chains, err := message.Signatures[0].Protected.Certificates(x509.VerifyOptions{
		Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, fmt.Errorf("its signer is not trusted: %w", err)
	}
	signer := chains[0][0]
	if signer.Subject.CommonName != metadataSigner && signer.VerifyHostname(metadataSigner) != nil {
		return nil, fmt.Errorf("its signer is not %s", metadataSigner)
	}
	payload, err := message.Verify(signer.PublicKey)
	if err != nil {
		return nil, errors.New("its signature is wrong")
	}
	return read(payload)
}

// read reads an edition. What is said of a model in a way that cannot be read
// is counted and left out, so that one entry of a new kind does not lose all.
func read(payload []byte) (*blob, error) {
	var edition struct {
		Number     int               `json:"no"`
		NextUpdate string            `json:"nextUpdate"`
		Entries    []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(payload, &edition); err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	b := &blob{no: edition.Number, entries: map[[16]byte]*metadata.Entry{}}
	var err error
	if b.nextUpdate, err = time.Parse(time.DateOnly, edition.NextUpdate); err != nil || b.no <= 0 {
		return nil, errors.New("it has no number or no day of the next update")
	}
	known := metadata.Metadata{}
	for _, raw := range edition.Entries {
		var j metadata.EntryJSON
		err := json.Unmarshal(raw, &j)
		if err == nil && j.AaGUID == "" {
			continue // not of FIDO2, so that no key here is of it
		}
		// Pictures are most of an edition, and nobody looks at them.
		s := &j.MetadataStatement
		s.Icon, s.IconDark, s.ProviderLogoLight, s.ProviderLogoDark = "", "", "", ""
		var entry metadata.Entry
		if err == nil {
			entry, err = j.Parse()
		}
		if err != nil {
			b.unread++
			continue
		}
		if first := b.entries[entry.AaGUID]; first != nil { // what is against either is against both
			first.StatusReports = append(first.StatusReports, entry.StatusReports...)
			continue
		}
		b.entries[entry.AaGUID] = &entry
		known.Parsed.Entries = append(known.Parsed.Entries, entry)
	}
	// Certificates and status are judged by us, at a time that is given; the
	// rest of what the library can compare, it compares.
	checks, err := memory.New(
		memory.WithMetadata(known.ToMap()), memory.WithValidateTrustAnchor(false), memory.WithValidateStatus(false),
		memory.WithValidateAAGUID(true), memory.WithValidateAttestationFormats(true), memory.WithValidateAlgorithms(true),
		memory.WithValidateBackupEligibility(true), memory.WithValidateUserVerification(true),
	)
	if err != nil {
		return nil, fmt.Errorf("it cannot be used: %w", err)
	}
	b.checks = checks.(*memory.Provider)
	return b, nil
}
