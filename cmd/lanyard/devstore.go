package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-jose/go-jose/v4"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
	"github.com/lanyard-id/lanyard/cmd/lanyard/demo"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
	"github.com/lanyard-id/lanyard/store/redis"
	"github.com/lanyard-id/lanyard/store/vault"
)

// The demo application's registration, which every development service has.
const (
	demoKeyClient = "demo-jwt" // its key id, too

	demoClient = "demo-rp"
	demoSecret = "demo-secret" // no secret: it is printed at every start
)

// openRegistry returns the registry that a development service starts with:
// the state of the last run, the seed, or the demo directory. key is the
// private key of the client demo-jwt, PEM.
func openRegistry(o devOptions, rpURL, cardIssuer string, now func() time.Time) (people *memory.Store, key string, err error) {
	doc, err := firstDocument(o.state, o.seed)
	if err != nil {
		return nil, "", err
	}
	if err := putDemoClient(&doc, rpURL); err != nil {
		return nil, "", err
	}
	if key, err = putDemoKey(&doc); err != nil {
		return nil, "", err
	}
	options := memory.Options{CardIssuer: cardIssuer, Now: now}
	if o.state != "" {
		options.Save = func(d directory.Document) error { return saveDocument(o.state, d) }
	}
	people, err = memory.New(doc, options)
	return people, key, err
}

func firstDocument(state, seed string) (directory.Document, error) {
	if state != "" {
		doc, err := readDocument(state)
		if !errors.Is(err, fs.ErrNotExist) {
			return doc, err
		}
	}
	if seed != "" {
		return readDocument(seed)
	}
	return demo.Directory()
}

func readDocument(path string) (directory.Document, error) {
	f, err := os.Open(path) //nolint:gosec // the file that the developer named
	if err != nil {
		return directory.Document{}, exit{exitUsage, err}
	}
	defer func() { _ = f.Close() }()
	doc, err := directory.Read(f)
	if err != nil {
		return directory.Document{}, exit{exitUsage, fmt.Errorf("%s: %w", path, err)}
	}
	return doc, nil
}

// saveDocument replaces the file in one step, so that a crash leaves the old
// one or the new one and never half of either. What rooms keep is in it, because
// people want to sign in after the next start as well; the file is its owner's.
func saveDocument(path string, d directory.Document) error {
	var b bytes.Buffer
	if err := directory.WriteSecrets(&b, d); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".lanyard-state-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// putDemoClient makes sure that the demo application is registered, with the
// address and the secret that it really has.
func putDemoClient(doc *directory.Document, rpURL string) error {
	at := slices.IndexFunc(doc.Clients, func(c directory.Client) bool { return c.ID == demoClient })
	if at < 0 {
		standard, err := demo.Directory()
		if err != nil {
			return err
		}
		from := slices.IndexFunc(standard.Clients, func(c directory.Client) bool { return c.ID == demoClient })
		doc.Clients = append(doc.Clients, standard.Clients[from])
		at = len(doc.Clients) - 1
	}
	c := &doc.Clients[at]
	c.SecretHash, c.AuthMethod = directory.SecretHash(idp.HashSecret(demoSecret)), idp.SecretBasic
	c.RedirectURIs = []string{rpURL + "/callback"}
	c.PostLogoutRedirectURIs = []string{rpURL + "/"}
	c.BackchannelLogoutURI = rpURL + "/backchannel-logout"
	return nil
}

// putDemoKey gives the client that proves itself by a key a new one, and
// returns it. A directory without that client needs none.
func putDemoKey(doc *directory.Document) (string, error) {
	at := slices.IndexFunc(doc.Clients, func(c directory.Client) bool { return c.ID == demoKeyClient })
	if at < 0 {
		return "", nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("make the key of %s: %w", demoKeyClient, err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: demoKeyClient, Use: "sig"}}})
	if err != nil {
		return "", fmt.Errorf("write the key of %s: %w", demoKeyClient, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("write the key of %s: %w", demoKeyClient, err)
	}
	doc.Clients[at].JWKS, doc.Clients[at].JWKSURI = directory.KeySet(set), ""
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// tick is how often the clock of the Redis in process moves on: it does not
// run by itself.
const tick = 50 * time.Millisecond

// inProcessRedis starts a Redis that lives and dies with this process. Others
// on this computer could reach its port, so it has a password.
func inProcessRedis() (goredis.UniversalClient, func(), error) {
	m := miniredis.NewMiniRedis()
	password := idp.NewSecret()
	m.RequireAuth(password)
	if err := m.Start(); err != nil {
		return nil, nil, fmt.Errorf("start Redis in process: %w", err)
	}
	o := &goredis.UniversalOptions{Addrs: []string{m.Addr()}, Password: password}
	redis.Harden(o)
	rdb := goredis.NewUniversalClient(o)
	stop := make(chan struct{})
	go func() {
		t := time.NewTicker(tick)
		defer t.Stop()
		var last time.Time
		for {
			select {
			case now := <-t.C:
				// On a busy machine ticks are left out.
				if !last.IsZero() {
					m.FastForward(now.Sub(last))
				}
				last = now
			case <-stop:
				return
			}
		}
	}()
	return rdb, func() { close(stop); _ = rdb.Close(); m.Close() }, nil
}

// linkSome links the first and the last of the accounts at the provider that
// stands in for the organisation's own. The others are there to be linked, and
// to show what is said of one that is not.
func linkSome(ctx context.Context, people *memory.Store, accounts []demo.UpstreamPerson, issuer string, now time.Time) error {
	for i, a := range accounts {
		if i > 0 && i < len(accounts)-1 {
			continue
		}
		record, err := json.Marshal(federated.Record{Issuer: issuer, Sub: a.Sub, Email: a.Email})
		if err != nil {
			return err
		}
		err = people.AddAuthenticator(ctx, authenticators.Authenticator{ID: "demo-" + a.UID, Subject: a.UID,
			Kind: authenticators.FederatedKind, Handle: issuer + " " + a.Sub, Name: "Riverside", Method: authenticators.Federated,
			Level: authenticators.AAL2, State: authenticators.Active, AddedAt: now, Record: record}, idp.Act{Event: idp.Event{At: now, Kind: idp.AuthenticatorAdded, Subject: a.UID}})
		if err != nil && !errors.Is(err, idp.ErrTaken) {
			return fmt.Errorf("link the account of %s: %w", a.UID, err)
		}
	}
	return nil
}

// devKeyset returns what seals the secrets of authenticators: with a state file,
// one that is kept beside it and opens them after the next start.
func devKeyset(state string) (*vault.Keyset, error) {
	if state == "" {
		return vault.NewKeyset()
	}
	path := state + ".keyset"
	if err := vault.CreateKeyset(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, exit{exitUsage, err}
	}
	keyset, err := vault.ReadKeyset(path)
	if err != nil {
		return nil, exit{exitUsage, err}
	}
	return keyset, nil
}
