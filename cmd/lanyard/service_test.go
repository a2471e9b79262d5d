package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualagent"
	"github.com/lanyard-id/lanyard/cmd/lanyard/demo"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
	"github.com/lanyard-id/lanyard/store/vault"
)

// callback is where the clients of these tests live. Nothing listens there:
// a person of these tests stops when they are sent to it.
const callback = "http://localhost:1/callback"

// signedOutAt is where people go who signed out at one of them.
const signedOutAt = callback + "/out"

// running is a development service that this test started.
type running struct {
	issuer, rp, ops string
	log             string            // the file that it logs to
	settings        map[string]string // of one in production; nil in development
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

// ourParts are the parts of a service, and what tests look at of them.
type ourParts struct {
	parts
	authority *cardca.Authority // of everybody's card
	people    *memory.Store
	logged    string // the file
}

// aParts returns what a service of that issuer is put together from: the people
// of seed, and an authority that answers for their cards.
func aParts(t *testing.T, issuer string, now func() time.Time, rdb goredis.UniversalClient) ourParts {
	t.Helper()
	answers := httptest.NewUnstartedServer(nil)
	authority, err := cardca.New(cardca.Config{Now: now, OCSP: "http://" + answers.Listener.Addr().String() + "/ocsp"})
	if err != nil {
		t.Fatal(err)
	}
	answers.Config.Handler = authority.Handler()
	answers.Start()
	t.Cleanup(answers.Close)
	people, _, err := openRegistry(devOptions{seed: seed(t)}, "http://localhost:1", authority.IssuerID(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := idp.GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := vault.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return ourParts{authority: authority, people: people, logged: log.Name(), parts: parts{administration: inMemory(people, ""),
		issuer: issuer, layout: "standard", registry: people, rdb: rdb, keys: func() *idp.Keys { return keys }, cards: trustIn(authority),
		authorities: newOutside(true), outside: newOutside(true), applications: newApplications(true), sealer: sealer, now: now, log: newLog(log),
	}}
}

// withVirtualCards puts a service together whose people sign in with cards in
// software, as in development.
func (p ourParts) withVirtualCards(t *testing.T) *service {
	t.Helper()
	s, err := wire(p.parts)
	if err != nil {
		t.Fatal(err)
	}
	drawer := &dev.Drawer{Authority: p.authority, Registry: p.people, Room: s.room, Now: p.now,
		Agent: virtualagent.Agent{Desk: s.room, Issuer: p.issuer, Origin: p.issuer}}
	pages := &dev.Pages{Site: s.pages.Site, Drawer: drawer, Log: dev.NewLog(), Clock: dev.NewClock(p.now), Registry: p.people, Events: p.people.Events,
		Authority: p.authority.Handler()}
	s.pages.Development = &api.Development{Cards: drawer, Mount: pages.Mount}
	return s
}

// aMiniredis is a Redis in this process.
func aMiniredis(t *testing.T) goredis.UniversalClient {
	t.Helper()
	rdb, closeRedis, err := inProcessRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeRedis)
	return rdb
}

// seed writes the demo directory with the clients of these tests to a file.
func seed(t *testing.T) string {
	t.Helper()
	return written(t, string(theSeed(t).file))
}

// aDirectory is the demo directory with the clients of these tests, to change.
func aDirectory(t *testing.T) directory.Document {
	t.Helper()
	return theSeed(t).doc.Clone()
}

// someone is a person of it.
func someone(t *testing.T, uid string) directory.Person {
	t.Helper()
	for _, p := range theSeed(t).doc.People {
		if p.UID == uid {
			return p
		}
	}
	t.Fatalf("nobody has the uid %s", uid)
	return directory.Person{}
}

// seeded is the directory of these tests, and the file of it.
type seeded struct {
	doc  directory.Document
	file []byte
}

func theSeed(t *testing.T) seeded {
	t.Helper()
	s, err := seedOnce()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// seedOnce makes it once: reading and writing YAML under the race detector is
// slower than most of what is tested with it.
var seedOnce = sync.OnceValues(func() (seeded, error) {
	doc, err := seedDocument()
	if err != nil {
		return seeded{}, err
	}
	var file bytes.Buffer
	if err := directory.Write(&file, doc); err != nil {
		return seeded{}, err
	}
	doc, err = directory.Read(bytes.NewReader(file.Bytes())) // as a server reads it
	return seeded{doc, file.Bytes()}, err
})

func seedDocument() (directory.Document, error) {
	doc, err := demo.Directory()
	if err != nil {
		return doc, err
	}
	// For this one each start would make a key of RSA.
	doc.Clients = slices.DeleteFunc(doc.Clients, func(c directory.Client) bool { return c.ID == demoKeyClient })
	for _, change := range []func(*directory.Client){
		func(c *directory.Client) { c.ID = "basic" },
		func(c *directory.Client) { c.ID, c.Grants = "renews", []string{"authorization_code", "refresh_token"} },
		func(c *directory.Client) {
			c.ID, c.Grants = "renews-too", []string{"authorization_code", "refresh_token"}
		},
		func(c *directory.Client) { c.ID, c.AuthMethod = "post", idp.SecretPost },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.SecretHash = "public", idp.NoAuth, "" },
		func(c *directory.Client) { c.ID, c.RequirePKCE = "pkce", true },
		func(c *directory.Client) { c.ID, c.IDTokenAlg = "es256", "ES256" },
		func(c *directory.Client) { c.ID, c.IDTokenAlg, c.UserinfoAlg = "all-RS256", "RS256", "RS256" },
		func(c *directory.Client) { c.ID, c.IDTokenAlg, c.UserinfoAlg = "all-RS512", "RS512", "RS512" },
		func(c *directory.Client) { c.ID, c.IDTokenAlg, c.UserinfoAlg = "all-PS256", "PS256", "PS256" },
		func(c *directory.Client) { c.ID, c.IDTokenAlg, c.UserinfoAlg = "all-ES256", "ES256", "ES256" },
		func(c *directory.Client) { c.ID, c.IDTokenAlg, c.UserinfoAlg = "all-EdDSA", "EdDSA", "EdDSA" },
		func(c *directory.Client) { c.ID, c.ResponseModes = "query-only", []string{"query"} },
		func(c *directory.Client) { c.ID, c.ACRAllowed = "card-only", []idp.ACR{idp.AAL3Smartcard} },
		func(c *directory.Client) { c.ID, c.RequiresRole = "needs-role", true },
		func(c *directory.Client) { c.ID, c.Grants = "no-code", []string{"refresh_token"} },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.JWKS = "signs", idp.PrivateKeyJWT, registered() },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.JWKS = "signs-too", idp.PrivateKeyJWT, registered() },
		func(c *directory.Client) { c.ID, c.AuthMethod, c.JWKSURI = "signs-afar", idp.PrivateKeyJWT, keysAfar },
		func(c *directory.Client) { c.ID, c.Scopes = "narrow", []string{"openid"} },
		func(c *directory.Client) { c.ID, c.AcceptsUnverified = "finder", true },
		func(c *directory.Client) { c.ID, c.Grants = "exchanges", everyGrant },
		func(c *directory.Client) { c.ID, c.Grants, c.AuthMethod = "exchanges-post", everyGrant, idp.SecretPost },
		func(c *directory.Client) {
			c.ID, c.Grants, c.AuthMethod, c.JWKS = "exchanges-signs", everyGrant, idp.PrivateKeyJWT, registered()
		},
		func(c *directory.Client) {
			c.ID, c.Grants, c.AuthMethod, c.SecretHash = "exchanges-public", everyGrant, idp.NoAuth, ""
		},
		func(c *directory.Client) {
			c.ID, c.Scopes, c.ExchangeFrom = "records", []string{"openid", "profile"}, []string{"exchanges", "exchanges-signs"}
		},
		func(c *directory.Client) {
			c.ID, c.Grants, c.BackchannelLogoutURI = "exchanges-told", everyGrant, ears().address("exchanges-told")
		},
		func(c *directory.Client) { c.ID, c.Grants, c.ACRDefault = "exchanges-n3", everyGrant, idp.AAL3N3Card },
		func(c *directory.Client) {
			c.ID, c.Grants, c.ACRDefault = "exchanges-card", everyGrant, idp.AAL3Smartcard
		},
		func(c *directory.Client) {
			c.ID, c.Grants, c.ACRDefault = "exchanges-cis2", everyGrant, idp.AAL3CIS2Card
		},
		func(c *directory.Client) { c.ID, c.BackchannelLogoutURI = "told", ears().address("told") },
		func(c *directory.Client) {
			c.ID, c.BackchannelLogoutURI, c.IDTokenAlg = "told-es256", ears().address("told-es256"), "ES256"
		},
	} {
		c := directory.Client{
			Name: "Ward list", SecretHash: directory.SecretHash(idp.HashSecret(clientSecret)), AuthMethod: idp.SecretBasic,
			RedirectURIs: []string{callback, callback + "?tenant=a%20b"}, PostLogoutRedirectURIs: []string{signedOutAt, signedOutAt + "?tenant=a%20b"}, Scopes: idp.Scopes, Grants: []string{"authorization_code"},
			AssertionAlgs: idp.AssertionAlgs, AssertionAudiences: []string{"issuer", "token_endpoint"},
			ResponseModes: []string{"query", "form_post"}, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1,
		}
		change(&c)
		doc.Clients = append(doc.Clients, c)
	}
	return doc, nil
}

// everyGrant is what a client may be registered for.
var everyGrant = []string{"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"}

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
