package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

// aConfig is one that nothing is wrong with, as a file would say it: key to
// value.
func aConfig(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"issuer":                "https://id.hospital.example",
		"postgres.url":          "postgres://lanyard@localhost/lanyard",
		"keys.keyset_file":      written(t, "a keyset"),
		"smartcard.trust_files": authorityFile(t, nil),
	}
}

// refusalsOf returns why a server with these settings would not start.
func refusalsOf(t *testing.T, settings map[string]string) refusals {
	t.Helper()
	var environ []string
	for key, value := range settings {
		environ = append(environ, setting{key: key}.env()+"="+value)
	}
	c, _, err := readConfig(configSource{environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	_, no := settleConfig(c, func() time.Time { return aDay })
	return no
}

// authorityFile writes the certificate of a root, as change makes it.
func authorityFile(t *testing.T, change func(*x509.Certificate)) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certificateFile(t, key, key, nil, change)
}

// certificateFile writes a certificate for key, which by has signed.
func certificateFile(t *testing.T, key, by crypto.Signer, parent *x509.Certificate, change func(*x509.Certificate)) string {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Hospital Cards"}, NotBefore: aDay.AddDate(-1, 0, 0), NotAfter: aDay.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	if change != nil {
		change(c)
	}
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func weakRSA(t *testing.T) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return certificateFile(t, key, key, nil, nil)
}

func withMode(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// orphan is an authority whose root nobody named.
func orphan(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "Somebody"}}
	return certificateFile(t, key, key, parent, nil)
}

// aFederation are the settings of an organisation's own provider, as change
// makes them.
func aFederation(t *testing.T, change map[string]string) map[string]string {
	t.Helper()
	settings := map[string]string{
		"federated.issuer": "https://login.hospital.example", "federated.client_id": "lanyard", "federated.client_secret_file": written(t, "Xk29dLqPw\n"),
		"federated.networks": "10.7.0.0/24", "federated.acr_values": "urn:mfa",
	}
	maps.Copy(settings, change)
	return settings
}

// aMailServer are the settings of one, as change makes them.
func aMailServer(change map[string]string) map[string]string {
	settings := map[string]string{"smtp.address": "mail.hospital.example:587", "smtp.from": "no-reply@hospital.example"}
	maps.Copy(settings, change)
	return settings
}

// publisher stands in for the FIDO Alliance.
type publisher struct{ *testkey.Alliance }

func anAlliance(t *testing.T) publisher {
	t.Helper()
	a, err := testkey.NewAlliance()
	if err != nil {
		t.Fatal(err)
	}
	return publisher{a}
}

// edition is metadata whose next is due a month after aDay.
func (p publisher) edition(t *testing.T, models ...testkey.Model) string {
	t.Helper()
	raw, err := p.Publish(1, aDay.AddDate(0, 1, 0), models...)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// root is the file of its root.
func (p publisher) root(t *testing.T) string {
	t.Helper()
	return written(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Root.Raw})))
}

// TestRefusals is the matrix of settings that a server does not start with.
// What it finds out only from servers is in start_test.go.
func TestRefusals(t *testing.T) {
	t.Run("F35: a configuration that nothing is wrong with is taken", func(t *testing.T) {
		if no := refusalsOf(t, aConfig(t)); len(no) > 0 {
			t.Errorf("it is refused: %v", no.err())
		}
	})
	far := "postgres://lanyard@db.hospital.example/lanyard?sslmode="
	alliance := anAlliance(t)
	for _, tt := range []struct {
		rule   string
		change map[string]string
		key    string // of the refusal; empty: it is taken
		what   string
	}{
		{"no issuer", map[string]string{"issuer": ""}, "issuer", "no issuer"},
		{"http issuer", map[string]string{"issuer": "http://id.hospital.example"}, "issuer", "http to another computer"},
		{"http issuer on this computer", map[string]string{"issuer": "http://localhost:8080"}, "", ""},
		{"issuer with a query", map[string]string{"issuer": "https://id.hospital.example/?x"}, "issuer", "not a plain"},
		{"issuer with a password", map[string]string{"issuer": "https://u:Xk29dLq@id.hospital.example"}, "issuer", "not a plain"},
		{"unknown layout", map[string]string{"layout": "cis3"}, "layout", "is none"},
		{"issuer without the path of its layout", map[string]string{"layout": "cis2"}, "issuer", "must end in"},
		{"listening nowhere", map[string]string{"listen": "localhost"}, "listen", "no address"},
		{"operators and strangers on one port", map[string]string{"listen": "0.0.0.0:8080", "ops_listen": "127.0.0.1:8080"}, "ops_listen", "has the port of listen"},
		{"everybody is a trusted proxy", map[string]string{"trusted_proxies": "0.0.0.0/0"}, "trusted_proxies", "almost everybody"},
		{"half of everybody is a trusted proxy", map[string]string{"trusted_proxies": "10.0.0.0/8,128.0.0.0/1"}, "trusted_proxies", "almost everybody"},
		{"everybody is a trusted proxy, by IPv6", map[string]string{"trusted_proxies": "::/0"}, "trusted_proxies", "almost everybody"},
		{"a network of proxies", map[string]string{"trusted_proxies": "10.0.0.0/8"}, "", ""},
		{"no PostgreSQL", map[string]string{"postgres.url": ""}, "postgres.url", "one of"},
		{"two PostgreSQL", map[string]string{"postgres.url_file": written(t, "postgres://localhost/x")}, "postgres.url", "one of"},
		{"a URL that is none", map[string]string{"postgres.url": "postgres://localhost:port/x"}, "postgres.url", "not a URL"},
		{"a password among the settings", map[string]string{"postgres.url": "postgres://lanyard:Xk29dLq@localhost/x"}, "postgres.url", "password in it"},
		{"a password among the settings, in the query", map[string]string{"postgres.url": "postgres://localhost/x?password=Xk29dLq"}, "postgres.url", "password in it"},
		{"a password among the settings, in keywords", map[string]string{"postgres.url": "host=localhost password=Xk29dLq"}, "postgres.url", "password in it"},
		{"PostgreSQL elsewhere without TLS", map[string]string{"postgres.url": far + "disable"}, "postgres.url", "without TLS"},
		{"PostgreSQL elsewhere with TLS if it likes", map[string]string{"postgres.url": far + "prefer"}, "postgres.url", "without TLS"},
		{"PostgreSQL elsewhere with TLS if nobody said", map[string]string{"postgres.url": "postgres://lanyard@db.hospital.example/lanyard"}, "postgres.url", "without TLS"},
		{"PostgreSQL elsewhere, whoever it is", map[string]string{"postgres.url": far + "require"}, "postgres.url", "prove who it is"},
		{"PostgreSQL elsewhere, proved", map[string]string{"postgres.url": far + "verify-full"}, "", ""},
		{"PostgreSQL on one of two hosts without TLS", map[string]string{"postgres.url": "postgres://lanyard@localhost,db.hospital.example/x?sslmode=disable"}, "postgres.url", "without TLS"},
		{"default password of PostgreSQL", map[string]string{"postgres.url": "", "postgres.url_file": written(t, "postgres://lanyard:postgres@db.hospital.example/lanyard?sslmode=verify-full\n")}, "postgres.url_file", "everybody tries first"},
		{"a password of PostgreSQL that nobody guesses", map[string]string{"postgres.url": "", "postgres.url_file": written(t, "postgres://lanyard:Xk29dLqPw@db.hospital.example/lanyard?sslmode=verify-full\n")}, "", ""},
		{"too few connections", map[string]string{"postgres.max_conns": "1"}, "postgres.max_conns", "1 connections"},
		{"no Redis", map[string]string{"redis.addresses": "localhost"}, "redis.addresses", "no address"},
		{"a password in the address of Redis", map[string]string{"redis.addresses": "redis://:Xk29dLq@localhost:6379"}, "redis.addresses", "a password may stand in it"},
		{"a password before the address of Redis", map[string]string{"redis.addresses": ":Xk29dLq@127.0.0.1:6379"}, "redis.addresses", "a password may stand in it"},
		{"several Redis that nobody explains", map[string]string{"redis.addresses": "localhost:1,localhost:2"}, "redis.addresses", "neither Sentinel nor Cluster"},
		{"several nodes of a Cluster", map[string]string{"redis.addresses": "localhost:1,localhost:2", "redis.cluster": "true"}, "", ""},
		{"Sentinel and Cluster", map[string]string{"redis.sentinel_master": "m", "redis.cluster": "true"}, "redis.cluster", "exclude each other"},
		{"a password of Sentinels without any", map[string]string{"redis.sentinel_password_file": written(t, "x")}, "redis.sentinel_password_file", "no Sentinel"},
		{"Redis elsewhere without a password", map[string]string{"redis.addresses": "redis.hospital.example:6379", "redis.tls": "true"}, "redis.password_file", "has no password"},
		{"Redis elsewhere without TLS", map[string]string{"redis.addresses": "redis.hospital.example:6379", "redis.password_file": written(t, "Xk29dLq")}, "redis.tls", "without TLS"},
		{"Redis elsewhere with a default password", map[string]string{"redis.addresses": "redis.hospital.example:6379", "redis.tls": "true", "redis.password_file": written(t, "redis")}, "redis.password_file", "everybody tries first"},
		{"Redis elsewhere", map[string]string{"redis.addresses": "redis.hospital.example:6379", "redis.tls": "true", "redis.password_file": written(t, "Xk29dLq")}, "", ""},
		{"authorities of Redis without TLS", map[string]string{"redis.ca_file": "x"}, "redis.ca_file", "no use"},
		{"no keyset", map[string]string{"keys.keyset_file": ""}, "keys.keyset_file", "no keyset is named"},
		{"half a token", map[string]string{"keys.pkcs11.module": "/usr/lib/softhsm.so"}, "keys.pkcs11", "belong together"},
		{"a keyset that is not there", map[string]string{"keys.keyset_file": "/nowhere/keyset"}, "keys.keyset_file", "no such file"},
		{"a keyset that everybody may read", map[string]string{"keys.keyset_file": withMode(t, written(t, "x"), 0o644)}, "keys.keyset_file", "read by everybody"},
		{"a keyset that its group may change", map[string]string{"keys.keyset_file": withMode(t, written(t, "x"), 0o660)}, "keys.keyset_file", "changed by others"},
		{"a keyset that its group may read", map[string]string{"keys.keyset_file": withMode(t, written(t, "x"), 0o440)}, "", ""},
		{"an empty keyset", map[string]string{"keys.keyset_file": written(t, "")}, "keys.keyset_file", "is empty"},
		{"a keyset that is a folder", map[string]string{"keys.keyset_file": t.TempDir()}, "keys.keyset_file", "no regular file"},
		{"a password of two lines", map[string]string{"redis.password_file": written(t, "a\nb\n")}, "redis.password_file", "more than one line"},
		{"empty card trust", map[string]string{"smartcard.trust_files": ""}, trustKey, "no authority of cards is trusted"},
		{"card trust that is not there", map[string]string{"smartcard.trust_files": "/nowhere/ca.pem"}, trustKey, "no such file"},
		{"card trust without a certificate", map[string]string{"smartcard.trust_files": written(t, "nothing")}, trustKey, "no certificate in it"},
		{"card trust with a private key", map[string]string{"smartcard.trust_files": written(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})))}, trustKey, "only certificates belong there"},
		{"card trust that cannot be read", map[string]string{"smartcard.trust_files": written(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})))}, trustKey, "cannot be read"},
		{"an authority that is none", map[string]string{"smartcard.trust_files": authorityFile(t, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })}, trustKey, "it is no authority"},
		{"an authority that has ended", map[string]string{"smartcard.trust_files": authorityFile(t, func(c *x509.Certificate) { c.NotAfter = aDay.AddDate(0, 0, -1) })}, trustKey, "ended on 2029-12-31"},
		{"an authority that has not begun", map[string]string{"smartcard.trust_files": authorityFile(t, func(c *x509.Certificate) { c.NotBefore = aDay.Add(time.Hour) })}, trustKey, "begins on"},
		{"an authority with a weak key", map[string]string{"smartcard.trust_files": weakRSA(t)}, trustKey, "too weak"},
		{"an authority without its root", map[string]string{"smartcard.trust_files": orphan(t)}, trustKey, "no root among the files"},
		{"revocation that nobody asks", map[string]string{"smartcard.revocation": "off"}, "smartcard.revocation", "no way to treat"},
		{"soft revocation by its name", map[string]string{"smartcard.revocation": "soft"}, "", ""},
		{"a revocation that takes too long", map[string]string{"smartcard.ocsp_timeout": "3s"}, "smartcard.ocsp_timeout", "too long"},
		{"revocation asked everywhere inside", map[string]string{"smartcard.ocsp_networks": "0.0.0.0/0"}, "smartcard.ocsp_networks", "almost everybody"},
		{"a longer session", map[string]string{"policy.aal3_max": "13h"}, "policy.aal3_max", "out of bounds"},
		{"a longer idle time", map[string]string{"policy.aal3_idle": "16m"}, "policy.aal3_idle", "out of bounds"},
		{"a longer idle time at AAL2", map[string]string{"policy.aal2_idle": "31m"}, "policy.aal2_idle", "out of bounds"},
		{"a shorter session", map[string]string{"policy.aal3_max": "8h", "policy.aal3_idle": "5m"}, "", ""},
		{"keys that are gone before their tokens", map[string]string{"policy.keys.keep_after": "1h"}, "policy.keys", "keep_after is 1h"},
		{"keys that sign before anybody knows them", map[string]string{"policy.keys.publish_before": "0s"}, "policy.keys", "publish_before is 0s"},
		{"keys that change before they are known", map[string]string{"policy.keys.rotate_every": "12h"}, "policy.keys", "rotate_every is 12h"},
		{"no time to finish", map[string]string{"shutdown.drain": "0s"}, "shutdown.drain", "out of bounds"},
		{"traces to nowhere", map[string]string{"tracing.endpoint": "localhost:4318"}, "tracing.endpoint", "no http or https URL"},
		{"keys for the domain above", map[string]string{"webauthn.rp_id": "hospital.example"}, "", ""},
		{"keys for another domain", map[string]string{"webauthn.rp_id": "clinic.example"}, "webauthn.rp_id", "not of the domain"},
		{"keys for an address of numbers", map[string]string{"webauthn.rp_id": "10.0.0.1"}, "webauthn.rp_id", "no domain"},
		{"keys for an origin", map[string]string{"webauthn.rp_id": "https://id.hospital.example"}, "webauthn.rp_id", "no domain"},
		{"keys for a port", map[string]string{"webauthn.rp_id": "id.hospital.example:443"}, "webauthn.rp_id", "no domain"},
		{"an origin of another domain", map[string]string{"webauthn.origins": "https://id.hospital.example,https://hospital.example.thief.example"}, "webauthn.origins", "not of the domain"},
		{"an http origin", map[string]string{"webauthn.origins": "https://id.hospital.example,http://x.id.hospital.example"}, "webauthn.origins", "not https"},
		{"origins without the issuer's", map[string]string{"webauthn.origins": "https://x.id.hospital.example"}, "webauthn.origins", "the issuer's own is not among them"},
		{"origins of the domain", map[string]string{"webauthn.rp_id": "hospital.example", "webauthn.origins": "https://id.hospital.example,https://hospital.example"}, "", ""},
		{"metadata that is not there", map[string]string{"webauthn.metadata_file": "/nowhere/blob.jwt"}, metadataKey, "no such file"},
		{"metadata that is a folder", map[string]string{"webauthn.metadata_file": t.TempDir()}, metadataKey, "no regular file"},
		{"metadata that nobody signed", map[string]string{"webauthn.metadata_file": written(t, "{}")}, metadataKey, "no signed message"},
		{"metadata that somebody else signed", map[string]string{"webauthn.metadata_file": written(t, alliance.edition(t)), "webauthn.metadata_root_file": authorityFile(t, nil)}, metadataKey, "not trusted"},
		{"metadata of a root that is named", map[string]string{"webauthn.metadata_file": written(t, alliance.edition(t)), "webauthn.metadata_root_file": alliance.root(t)}, "", ""},
		{"a root of metadata that is none", map[string]string{"webauthn.metadata_file": written(t, alliance.edition(t)), "webauthn.metadata_root_file": written(t, "x")}, "webauthn.metadata_root_file", "no certificate"},
		{"models without metadata", map[string]string{"webauthn.models": "aa000000-0000-0000-0000-000000000001"}, metadataKey, "there is none"},
		{"a certification that is none", map[string]string{"webauthn.certified": "GOOD", "webauthn.metadata_file": written(t, alliance.edition(t)), "webauthn.metadata_root_file": alliance.root(t)}, "webauthn.models", "no certification"},
		{"metadata that is believed for ever", map[string]string{"webauthn.metadata_grace": "8760h"}, "webauthn.metadata_grace", "out of bounds"},
		{"a provider", aFederation(t, nil), "", ""},
		{"a provider on this computer", aFederation(t, map[string]string{"federated.issuer": "http://localhost:9090"}), "", ""},
		{"http to a provider elsewhere", aFederation(t, map[string]string{"federated.issuer": "http://login.hospital.example"}), "federated.issuer", "http to another computer"},
		{"a provider that is us", aFederation(t, map[string]string{"federated.issuer": "https://id.hospital.example"}), "federated.issuer", "this service itself"},
		{"a provider with a password", aFederation(t, map[string]string{"federated.issuer": "https://u:Xk29dLq@login.hospital.example"}), "federated.issuer", "not a plain"},
		{"a provider without a client", aFederation(t, map[string]string{"federated.client_id": ""}), "federated.client_id", "would not know who asks"},
		{"a provider without a secret", aFederation(t, map[string]string{"federated.client_secret_file": ""}), "federated.client_secret_file", "there is no secret"},
		{"a secret that everybody may read", aFederation(t, map[string]string{"federated.client_secret_file": withMode(t, written(t, "Xk29dLq"), 0o644)}), "federated.client_secret_file", "read by everybody"},
		{"a secret out of a manual", aFederation(t, map[string]string{"federated.client_secret_file": written(t, "client-secret")}), "federated.client_secret_file", "everybody tries first"},
		{"a client without a provider", aFederation(t, map[string]string{"federated.issuer": ""}), "federated.issuer", "there is none"},
		{"a provider everywhere inside", aFederation(t, map[string]string{"federated.networks": "0.0.0.0/0"}), "federated.networks", "almost everybody"},
		{"a mail server", aMailServer(nil), "", ""},
		{"a mail server with a user", aMailServer(map[string]string{"smtp.username": "lanyard", "smtp.password_file": written(t, "Xk29dLq")}), "", ""},
		{"a mail server on this computer without TLS", aMailServer(map[string]string{"smtp.address": "localhost:25", "smtp.tls": "none"}), "", ""},
		{"mails elsewhere without TLS", aMailServer(map[string]string{"smtp.tls": "none"}), "smtp.tls", "without TLS"},
		{"mails with TLS if it likes", aMailServer(map[string]string{"smtp.tls": "opportunistic"}), "smtp.tls", "is no way"},
		{"a password without TLS", aMailServer(map[string]string{"smtp.address": "localhost:25", "smtp.tls": "none", "smtp.username": "lanyard", "smtp.password_file": written(t, "Xk29dLq")}), "smtp.username", "over TLS only"},
		{"mails from nobody", aMailServer(map[string]string{"smtp.from": ""}), "smtp.from", "come from an address"},
		{"half a user of the mail server", aMailServer(map[string]string{"smtp.username": "lanyard"}), "smtp.password_file", "belong together"},
		{"a password in the address of the mail server", aMailServer(map[string]string{"smtp.address": "u:Xk29dLq@mail.hospital.example:587"}), "smtp.address", "no address"},
		{"a default password of the mail server", aMailServer(map[string]string{"smtp.username": "lanyard", "smtp.password_file": written(t, "changeme")}), "smtp.password_file", "everybody tries first"},
		{"authorities of the mail server that are none", aMailServer(map[string]string{"smtp.ca_file": written(t, "x")}), "smtp.ca_file", "no certificate"},
		{"digests without a mail server", map[string]string{"smtp.digests": "true"}, "smtp.address", "there is none"},
		{"an address of mails without a mail server", map[string]string{"smtp.from": "no-reply@hospital.example"}, "smtp.address", "there is none"},
	} {
		t.Run("F35: "+tt.rule, func(t *testing.T) {
			settings := aConfig(t)
			for key, value := range tt.change {
				settings[key] = value
			}
			no := refusalsOf(t, settings)
			if tt.key == "" {
				if len(no) > 0 {
					t.Errorf("it is refused: %v", no.err())
				}
				return
			}
			if len(no) != 1 || no[0].key != tt.key || !strings.Contains(no[0].what, tt.what) {
				t.Errorf("the reasons are\n%v\nwant %s: %s", no.err(), tt.key, tt.what)
			}
			if line := complain(no.err()); strings.Count(line, "\n") != len(no) || !strings.HasPrefix(line, "lanyard: "+tt.key+": ") || strings.Contains(line, "Xk29dLq") {
				t.Errorf("the terminal is told %q", line)
			}
		})
	}
}

func TestCardTrust(t *testing.T) {
	t.Run("own rule: roots sign themselves, what stands below them is named as the issuer of cards", func(t *testing.T) {
		rootKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		key, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		root := certificateFile(t, rootKey, rootKey, nil, func(c *x509.Certificate) { c.Subject.CommonName = "Root" })
		above, err := readAuthorities(root)
		if err != nil {
			t.Fatal(err)
		}
		below := certificateFile(t, key, rootKey, above[0], func(c *x509.Certificate) { c.Subject.CommonName = "Cards" })
		both := filepath.Join(t.TempDir(), "both.pem")
		var bundle []byte
		for _, path := range []string{below, root} {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bundle = fmt.Appendf(bundle, "# a comment\n%s\n", b)
		}
		if err := os.WriteFile(both, bundle, 0o600); err != nil {
			t.Fatal(err)
		}
		var no refusals
		trust := loadTrust([]string{both}, aDay, &no)
		if len(no) > 0 || len(trust.authorities) != 2 {
			t.Fatalf("%v, %d authorities", no.err(), len(trust.authorities))
		}
		issuing := trust.issuing()
		if len(issuing) != 1 || issuing[0].Subject.CommonName != "Cards" {
			t.Errorf("cards are issued by %v", issuing)
		}
	})
}
