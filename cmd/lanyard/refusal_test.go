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
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	_, no := settleConfig(c, aDay)
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

// TestRefusals is the matrix of settings that a server does not start with.
// What it finds out only from servers is in start_test.go.
func TestRefusals(t *testing.T) {
	t.Run("F35: a configuration that nothing is wrong with is taken", func(t *testing.T) {
		if no := refusalsOf(t, aConfig(t)); len(no) > 0 {
			t.Errorf("it is refused: %v", no.err())
		}
	})
	far := "postgres://lanyard@db.hospital.example/lanyard?sslmode="
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
