package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard/demo"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// callback is where the clients of these tests live. Nothing listens there:
// a person of these tests stops when they are sent to it.
const callback = "http://localhost:1/callback"

// running is a development service that this test started.
type running struct {
	issuer, rp, ops string
	log             string // the file that it logs to
}

// start runs `lanyard dev` with the demo people and the clients of these
// tests, and stops it with the test.
func start(t *testing.T, change func(*devOptions)) running {
	t.Helper()
	o := devOptions{listen: "localhost:0", rpListen: "localhost:0", opsListen: "localhost:0", layout: "standard", seed: seed(t)}
	if change != nil {
		change(&o)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := runDev(ctx, o, in, log)
		_ = in.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with %v", err)
		}
		_ = log.Close()
	})
	return ready(t, out, log.Name())
}

// ready waits for the line that says people can come.
func ready(t *testing.T, out io.Reader, log string) running {
	t.Helper()
	said := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			line = err.Error()
		}
		said <- line
	}()
	select {
	case line := <-said:
		m := regexp.MustCompile(`^ready issuer=(\S+) rp=(\S+) ops=(\S+)\n$`).FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("the service said %q", line)
		}
		return running{issuer: m[1], rp: m[2], ops: m[3], log: log}
	case <-time.After(30 * time.Second):
		t.Fatal("the service was not ready in 30 s")
	}
	return running{}
}

// seed writes the demo directory with the clients of these tests to a file.
func seed(t *testing.T) string {
	t.Helper()
	doc, err := demo.Directory()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*directory.Client){
		func(c *directory.Client) { c.ID = "basic" },
		func(c *directory.Client) { c.ID, c.AuthMethod = "post", idp.SecretPost },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.SecretHash = "public", idp.NoAuth, "" },
		func(c *directory.Client) { c.ID, c.RequirePKCE = "pkce", true },
		func(c *directory.Client) { c.ID, c.IDTokenAlg = "es256", "ES256" },
		func(c *directory.Client) { c.ID, c.ResponseModes = "query-only", []string{"query"} },
		func(c *directory.Client) { c.ID, c.ACRAllowed = "card-only", []idp.ACR{idp.AAL3Smartcard} },
		func(c *directory.Client) { c.ID, c.RequiresRole = "needs-role", true },
		func(c *directory.Client) { c.ID, c.Grants = "no-code", []string{"refresh_token"} },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.JWKS = "signs", idp.PrivateKeyJWT, registered() },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.JWKS = "signs-too", idp.PrivateKeyJWT, registered() },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.JWKSURI = "signs-afar", idp.PrivateKeyJWT, keysAfar },
		func(c *directory.Client) { c.ID, c.Scopes = "narrow", []string{"openid"} },
		func(c *directory.Client) { c.ID, c.AcceptsUnverified = "finder", true },
	} {
		c := directory.Client{
			Name: "Ward list", SecretHash: directory.SecretHash(idp.HashSecret(clientSecret)), AuthMethod: idp.SecretBasic,
			RedirectURIs: []string{callback, callback + "?tenant=a%20b"}, Scopes: idp.Scopes, Grants: []string{"authorization_code"},
			AssertionAlgs: idp.AssertionAlgs, AssertionAudiences: []string{"issuer", "token_endpoint"},
			ResponseModes: []string{"query", "form_post"}, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1,
		}
		change(&c)
		doc.Clients = append(doc.Clients, c)
	}
	path := filepath.Join(t.TempDir(), "seed.yaml")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := directory.Write(f, doc); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

const clientSecret = "0123456789abcdef0123456789abcdef"

// People of the demo directory, by their uid; a card's serial is its end.
const (
	oneRole    = "555000000101"
	fiveRoles  = "555000000102"
	noRole     = "555000000104"
	noCard     = "555000000105"
	expired    = "555000000106"
	endsSoon   = "555000000107"
	unknown    = "555000000111"
	unverified = "555000000113"
	restricted = "555000000114"
	closed     = "555000000115"
	passcode   = "123456"
)

func card(uid string) string { return "0000" + uid[9:] }
