package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/federated"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/idp"
)

// This file judges the settings of the ways to sign in without a card, and of
// the mails that tell people of them, and makes of them what a server is put
// together from.

const metadataKey = "webauthn.metadata_file"

// checkKeys looks at what passkeys and security keys are made for.
func checkKeys(c Config, no *refusals) {
	w, own := c.WebAuthn, origin(c.Issuer)
	if id := w.RPID; id != "" && !isDomain(id) {
		no.add("webauthn.rp_id", fmt.Sprintf("%.60q is no domain", id), "write it as hospital.example: no scheme, no port, no address of numbers")
	} else if id != "" && own != "" {
		if err := passkey.CheckOrigin(own, id); err != nil {
			no.add("webauthn.rp_id", err.Error(), "write the issuer's host, or a domain above it: browsers make keys for no other")
		}
	}
	id := rpID(c)
	for _, o := range w.Origins {
		if err := passkey.CheckOrigin(o, id); err != nil && !no.of("webauthn.rp_id") {
			no.add("webauthn.origins", err.Error(), "write origins of webauthn.rp_id as browsers do, such as https://id.hospital.example")
		}
	}
	if len(w.Origins) > 0 && !slices.Contains(w.Origins, own) && own != "" {
		no.add("webauthn.origins", "the issuer's own is not among them, so no page could ask for a key", "add %s", own)
	}
	if g := w.MetadataGrace; g < time.Hour || g > 90*24*time.Hour {
		no.add("webauthn.metadata_grace", g.String()+" is out of bounds", "write 1h to 2160h: a model that was revoked must not stand for ever")
	}
	if err := w.policy().Check(); err != nil && !no.of("webauthn.metadata_grace") {
		no.add("webauthn.models", err.Error(), "see webauthn.models and webauthn.certified")
	}
	if w.MetadataFile == "" && (w.MetadataRootFile != "" || len(w.Models) > 0 || w.Certified != "") {
		no.add(metadataKey, "there is none, and other settings say which of its models count", "name the file that was fetched from the FIDO Alliance")
	}
}

// isDomain says whether browsers make keys for that name.
func isDomain(name string) bool {
	u, err := url.Parse("https://" + name)
	_, notIP := netip.ParseAddr(name)
	return err == nil && u.Host == name && u.Port() == "" && notIP != nil && strings.ToLower(name) == name && !strings.HasSuffix(name, ".") && !strings.ContainsAny(name, "*_:[]")
}

// rpID is the domain that keys are made for.
func rpID(c Config) string {
	if c.WebAuthn.RPID != "" {
		return c.WebAuthn.RPID
	}
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (w WebAuthnConfig) policy() passkey.Policy {
	return passkey.Policy{Models: w.Models, Certified: w.Certified, Grace: w.MetadataGrace}
}

// loadMetadata reads what is known of models of keys. What cannot be believed
// stops the start: whoever named it thought that its keys would be worth AAL3.
func loadMetadata(w WebAuthnConfig, now func() time.Time, no *refusals) *passkey.Metadata {
	if w.MetadataFile == "" {
		return nil
	}
	source := passkey.Source{File: w.MetadataFile, Now: now}
	if w.MetadataRootFile != "" {
		roots, err := readAuthorities(w.MetadataRootFile)
		if err == nil && len(roots) != 1 {
			err = fmt.Errorf("%s holds %d certificates", w.MetadataRootFile, len(roots))
		}
		if err != nil {
			no.add("webauthn.metadata_root_file", err.Error(), "name a PEM file with one certificate")
			return nil
		}
		source.Root = roots[0]
	}
	if info, err := os.Stat(w.MetadataFile); err == nil && !info.Mode().IsRegular() {
		no.add(metadataKey, w.MetadataFile+" is no regular file", "name the file that was fetched from the FIDO Alliance")
		return nil
	}
	m, err := passkey.Load(source)
	if err != nil {
		no.add(metadataKey, strings.ReplaceAll(err.Error(), "\n", " "), "fetch it again from the FIDO Alliance, and leave it as it came")
		return nil
	}
	return m
}

func (s settled) keyTrust() keyTrust {
	return keyTrust{rpID: s.WebAuthn.RPID, origins: s.WebAuthn.Origins, metadata: s.metadata, policy: s.WebAuthn.policy()}
}

// checkFederated looks at the organisation's own provider.
func checkFederated(c Config, no *refusals) {
	f := c.Federated
	if f.Issuer == "" {
		if f.ClientID != "" || f.ClientSecretFile != "" || f.Name != "" || len(f.Scopes)+len(f.ACRValues)+len(f.AMRValues)+len(f.Networks) > 0 {
			no.add("federated.issuer", "there is none, and other settings speak of it", "name the issuer of the organisation's own provider, or leave all of them out")
		}
		return
	}
	u, err := url.Parse(f.Issuer)
	switch {
	case strings.Contains(f.Issuer, "@"): // there may be a password before it
		no.add("federated.issuer", "it is not a plain https URL", "write it without a user")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(f.Issuer, " #?"):
		no.add("federated.issuer", fmt.Sprintf("%.120q is no issuer", f.Issuer), "write it to the letter as that provider does, such as https://login.hospital.example")
	case u.Scheme != "https" && !loopback(f.Issuer):
		no.add("federated.issuer", "http to another computer can be read and changed on the way: anybody there could sign in as anybody", "use https")
	case f.Issuer == c.Issuer:
		no.add("federated.issuer", "it is this service itself", "name the organisation's own provider")
	}
	if f.ClientID == "" {
		no.add("federated.client_id", "that provider would not know who asks", "register this service there, and write the client ID")
	}
	if f.ClientSecretFile == "" {
		no.add("federated.client_secret_file", "there is no secret, so anybody could ask in our name", "put the secret of that registration into a file and name it")
	}
	checkNetworks("federated.networks", f.Networks, no)
}

// upstream is the organisation's own provider, or nil.
func (s settled) upstream() *federated.Config {
	f := s.Federated
	if f.Issuer == "" {
		return nil
	}
	return &federated.Config{Name: f.Name, Issuer: f.Issuer, ClientID: f.ClientID, ClientSecret: s.secrets.federatedSecret, Scopes: f.Scopes,
		AAL2: federated.Proof{ACR: f.ACRValues, AMR: f.AMRValues}, HTTP: newOutside(loopback(f.Issuer), f.Networks...)}
}

// checkMail looks at who carries mails.
func checkMail(c SMTPConfig, no *refusals) {
	if c.Address == "" {
		if c.Username != "" || c.PasswordFile != "" || c.From != "" || c.CAFile != "" || c.Digests {
			no.add("smtp.address", "there is none, and other settings speak of it", "name the mail server, or leave all of them out")
		}
		return
	}
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil || host == "" || port == "" || strings.ContainsAny(c.Address, "@/?%") {
		no.add("smtp.address", "it is no address", "write host:port, and a user as smtp.username")
	}
	if _, err := idp.ParseEmail(c.From); err != nil {
		no.add("smtp.from", "mails have to come from an address", "write one that the mail server takes mails from, as no-reply@hospital.example")
	}
	switch {
	case c.TLS != "starttls" && c.TLS != "implicit" && c.TLS != "none":
		no.add("smtp.tls", fmt.Sprintf("%.60q is no way", c.TLS), "write starttls, implicit or none")
	case c.TLS == "none" && !nearHost(host):
		no.add("smtp.tls", "a mail server on another computer without TLS: codes and addresses can be read on the way", "write starttls or implicit")
	case c.TLS == "none" && c.Username != "":
		no.add("smtp.username", "a password is sent over TLS only", "set smtp.tls, or let the mail server take mails from this computer without a user")
	case c.TLS == "none" && c.CAFile != "":
		no.add("smtp.ca_file", "it has no use without TLS", "set smtp.tls too")
	}
	if (c.Username == "") != (c.PasswordFile == "") {
		no.add("smtp.password_file", "username and password_file belong together", "name both or none")
	}
}

// loadMailAuthorities reads the authorities of the mail server's certificate.
func loadMailAuthorities(c SMTPConfig, no *refusals) *x509.CertPool {
	if c.CAFile == "" {
		return nil
	}
	all, err := readAuthorities(c.CAFile)
	if err != nil {
		no.add("smtp.ca_file", err.Error(), "name a PEM file with the authorities of the mail server's certificate")
		return nil
	}
	pool := x509.NewCertPool()
	for _, a := range all {
		pool.AddCert(a)
	}
	return pool
}
