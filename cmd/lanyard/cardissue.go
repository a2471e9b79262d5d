package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// maxPEMFile bounds a request or a certificate in a file.
const maxPEMFile = 16 << 10

// cardGiven is what a card is given by.
type cardGiven struct {
	csr, certificate, virtual string // files; one of them, or none
	serial, endsOn            string
	series                    int
	old, reason, out          string
	check                     bool
}

// issueCommand gives somebody a card: by a request that its key has signed, by
// the certificate that another authority has issued, or by facts alone.
func issueCommand(r *remote) *cobra.Command {
	var g cardGiven
	cmd := &cobra.Command{
		Use:   "issue UID",
		Short: "Give somebody a card, and its certificate",
		Long: "With --csr the service's own authority issues the certificate of the card whose key has signed that request\n" +
			"(PKCS#10, as any tool for PIV cards writes it), and --virtual makes a virtual smartcard here, in a file for\n" +
			"lanyard-agent --virtual-card. With --certificate it is one that another authority has issued. With --serial and\n" +
			"--ends-on nobody has seen the certificate.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return r.issue(cmd, args[0], g) },
	}
	f := cmd.Flags()
	f.StringVar(&g.csr, "csr", "", "`file` with the card's request for a certificate")
	f.StringVar(&g.certificate, "certificate", "", "`file` with the certificate that another authority has issued")
	f.StringVar(&g.virtual, "virtual", "", "new `file` for a virtual smartcard; its passcode is shown once")
	f.StringVar(&g.serial, "serial", "", "serial `number` of its certificate, in hex")
	f.StringVar(&g.endsOn, "ends-on", "", "last `day` of its certificate")
	f.IntVar(&g.series, "series", 0, "`series` of the card")
	f.StringVar(&g.old, "in-place-of", "", "`serial` of the card that it replaces, or whose renewal it is, which is revoked")
	f.StringVar(&g.out, "out", "", "`file` for the certificate; without it, it is printed")
	f.StringVar(&g.reason, "reason", "", "`why`")
	f.BoolVar(&g.check, "check", false, "say what would be done, and do nothing")
	return cmd
}

// issue gives somebody a card.
func (r *remote) issue(cmd *cobra.Command, uid string, g cardGiven) error {
	ways := 0
	for _, given := range []string{g.csr, g.certificate, g.virtual, g.serial} {
		if given != "" {
			ways++
		}
	}
	if ways != 1 || g.series == 0 || (g.serial != "") != (g.endsOn != "") {
		return exit{exitUsage, errors.New("--series is needed, and one of --csr, --certificate, --virtual, and --serial with --ends-on")}
	}
	body := map[string]any{"series": g.series}
	if g.reason != "" {
		body["reason"] = g.reason
	}
	if g.old != "" {
		body["old"] = g.old
	}
	path := "/people/" + url.PathEscape(uid) + "/cards"
	var err error
	var key crypto.Signer
	switch {
	case g.csr != "":
		path += "/issue"
		body["csr"], err = readPEM(g.csr)
	case g.virtual != "":
		path += "/issue"
		if _, there := os.Lstat(g.virtual); there == nil {
			return exit{exitUsage, fmt.Errorf("%s is there already", g.virtual)}
		}
		key, body["csr"], err = newVirtual()
	case g.certificate != "":
		path += "/record"
		body["certificate"], err = readPEM(g.certificate)
	default:
		body["serial"], body["ends_on"] = g.serial, g.endsOn
		if g.old != "" {
			return exit{exitUsage, errors.New("--in-place-of is for a certificate: see lanyard card replace")}
		}
	}
	if err != nil {
		return err
	}
	query := url.Values{}
	if g.check {
		query.Set("check", "true")
	}
	text, err := r.ask(cmd.Context(), http.MethodPost, path, query, body, jsonKind)
	if err != nil {
		return err
	}
	if err := r.say(cmd.OutOrStdout(), text, g.check); err != nil || g.check {
		return err
	}
	return g.keep(cmd, key, text, r.asJSON)
}

// keep keeps the certificate that was issued, and the virtual card with it.
func (g cardGiven) keep(cmd *cobra.Command, key crypto.Signer, text []byte, said bool) error {
	var done struct{ Certificate string }
	if err := json.Unmarshal(text, &done); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch {
	case done.Certificate == "":
		return nil
	case key != nil:
		passcode, puk, err := writeVirtual(g.virtual, key, done.Certificate)
		if err == nil {
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "shown this once: passcode %s, PUK %s\n", passcode, puk)
		}
		return err
	case g.out != "":
		return os.WriteFile(g.out, []byte(done.Certificate), 0o644) //nolint:gosec // a certificate is public
	}
	if said {
		return nil
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), done.Certificate)
	return err
}

// readPEM reads a small file.
func readPEM(path string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that its owner named
	if err != nil {
		return "", exit{exitUsage, err}
	}
	if len(text) > maxPEMFile {
		return "", exit{exitUsage, fmt.Errorf("%s is larger than %d KiB", path, maxPEMFile>>10)}
	}
	return string(text), nil
}

// newVirtual makes the key of a virtual card, and its request.
func newVirtual() (crypto.Signer, string, error) {
	key, err := virtualcard.GenerateKey(virtualcard.P256)
	if err != nil {
		return nil, "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, "", fmt.Errorf("ask for a certificate: %w", err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// writeVirtual writes a virtual card to a new file, with a passcode and a PUK
// that nobody has chosen.
func writeVirtual(path string, key crypto.Signer, certificate string) (passcode, puk string, err error) {
	all, err := parseAuthorities([]byte(certificate))
	if err != nil {
		return "", "", fmt.Errorf("read the certificate: %w", err)
	}
	numbers := make([]string, 2)
	for i := range numbers {
		n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
		if err != nil {
			return "", "", err
		}
		numbers[i] = fmt.Sprintf("%08d", n)
	}
	c := virtualcard.Config{Key: key, Certificate: all[0], Passcode: numbers[0], PUK: numbers[1], ATR: virtualcard.DefaultATR()}
	rand.Read(c.GUID[:]) // never fails: crypto/rand ends the program instead
	text, err := virtualcard.Write(c)
	if err != nil {
		return "", "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the file that its owner named
	if err != nil {
		return "", "", err
	}
	_, err = f.Write(text)
	return numbers[0], numbers[1], errors.Join(err, f.Close())
}

// certificateCommand prints the certificate of a card.
func certificateCommand(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "certificate SERIAL",
		Short: "Print the certificate of a card",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c struct {
				Serial      string `json:"serial"`
				UID         string `json:"uid"`
				Issuer      string `json:"issuer"`
				Certificate string `json:"certificate"`
			}
			if err := r.get(cmd.Context(), "/cards/"+url.PathEscape(args[0])+"/certificate", nil, &c); err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(cmd.OutOrStdout(), c)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSpace(c.Certificate))
			return err
		},
	}
}
