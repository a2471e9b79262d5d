package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// passcode of every card of the rig: eight digits, so that finding them
// somewhere is no accident.
const passcode = "80316429"

// The rig's client that proves itself by a signed assertion; the others have
// its secret.
const assertionClient = "rig-jwt"

const callback = "https://rig.example/callback"

// crowd is everybody of the rig: people with their cards, and clients.
type crowd struct {
	document directory.Document
	holders  []holder           // with one position each
	busy     holder             // with several positions: is asked which
	clients  map[string]*client // by the algorithm of their ID tokens, assertionClient, and workers
}

// worker is the client that works with its tokens afterwards. The others do not:
// what a sign-in costs is measured without a refresh token.
func worker(alg string) string { return "works-" + alg }

// newCrowd makes n people with keys of kind on their cards.
func newCrowd(n int, kind virtualcard.KeyType, ca *cardca.Authority) (*crowd, error) {
	c := &crowd{clients: map[string]*client{}}
	c.document.Organisations = []directory.Organisation{{Code: "A9A5A", Name: "Riverside Surgery"}, {Code: "RX9", Name: "Calder Valley Hospitals"}}
	for i := range n + 1 {
		positions := 1
		if i == n {
			positions = 5
		}
		h, p, err := newHolder(i, positions, kind, ca)
		if err != nil {
			return nil, err
		}
		c.document.People = append(c.document.People, p)
		if i == n {
			c.busy = h
			break
		}
		c.holders = append(c.holders, h)
	}
	return c, c.addClients()
}

// newHolder makes the person with that number, and their card.
func newHolder(number, positions int, kind virtualcard.KeyType, ca *cardca.Authority) (holder, directory.Person, error) {
	uid := fmt.Sprintf("5551%08d", number)
	serial := fmt.Sprintf("%08X", 0x10000000+number)
	key, err := virtualcard.GenerateKey(kind)
	if err != nil {
		return holder{}, directory.Person{}, err
	}
	now := time.Now()
	certificate, err := ca.Issue(cardca.Request{Key: key.Public(), Serial: serial, UID: uid, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0)})
	if err != nil {
		return holder{}, directory.Person{}, err
	}
	made := virtualcard.Config{Key: key, Certificate: certificate, Passcode: passcode, PUK: "12345678"}
	card, err1 := virtualcard.New(made)
	file, err2 := virtualcard.Write(made)
	if err := errors.Join(err1, err2); err != nil {
		return holder{}, directory.Person{}, err
	}
	p := directory.Person{
		UID: uid, Name: directory.Name{Given: "Person", Family: fmt.Sprintf("Number %d", number)},
		Email: uid + "@rig.example", NINumber: insured(number), IdentityAssurance: 3, Profile: idp.Verified,
		Cards: []directory.Card{{Serial: serial, Series: 9, State: "active", Registered: true, Certificate: "valid", TriesLeft: 3}},
	}
	for place := range positions {
		p.Positions = append(p.Positions, directory.Position{
			ID: fmt.Sprintf("5552%08d", 10*number+place), OrgPersonID: fmt.Sprintf("5553%08d", 10*number+place),
			Organisation: "A9A5A", RoleCode: "S8000:G8000:R8001", RoleName: `"Clinical":"Clinical Provision":"Nurse Access Role"`,
			Activities: []directory.Coded{{Code: "B0360", Name: "View Detailed Health Records"}},
		})
	}
	return holder{uid: uid, card: card, file: file, passcode: passcode}, p, nil
}

// insured is the National Insurance number of the person with that number.
func insured(number int) string { return fmt.Sprintf("QQ%06dA", number) }

func (c *crowd) addClients() error {
	secret := random(32)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	for _, alg := range []string{"RS256", "ES256"} {
		name := worker(alg)
		made := &client{id: name, secret: secret, redirect: callback, alg: alg, scope: "openid profile"}
		c.clients[name] = made
		c.document.Clients = append(c.document.Clients, directory.Client{
			ID: name, Name: "Rig " + name, AuthMethod: idp.SecretBasic, SecretHash: directory.SecretHash(idp.HashSecret(secret)),
			RedirectURIs: []string{callback}, Scopes: []string{"openid", "profile"},
			Grants:        []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"},
			ResponseModes: []string{"query"}, IDTokenAlg: alg, ACRDefault: idp.AAL3Any, MinLevel: 1, RequirePKCE: true,
		})
	}
	for _, alg := range []string{"RS256", "ES256", assertionClient} {
		made := &client{id: "rig-" + alg, secret: secret, redirect: callback, alg: alg,
			scope: "openid profile nhsperson nationalrbacaccess selectedrole"}
		entry := directory.Client{
			ID: made.id, Name: "Rig " + alg, AuthMethod: idp.SecretBasic, SecretHash: directory.SecretHash(idp.HashSecret(secret)),
			RedirectURIs: []string{callback}, Scopes: []string{"openid", "profile", "nhsperson", "nationalrbacaccess", "selectedrole"},
			Grants: []string{"authorization_code"}, ResponseModes: []string{"query"}, IDTokenAlg: alg,
			AssertionAlgs: []string{"ES256"}, AssertionAudiences: []string{"issuer"}, ACRDefault: idp.AAL3Any, MinLevel: 1, RequirePKCE: true,
		}
		if alg == assertionClient {
			made.id, made.alg, made.secret, made.key, made.keyID = assertionClient, "ES256", "", key, "rig"
			entry.ID, entry.IDTokenAlg, entry.AuthMethod, entry.SecretHash = made.id, made.alg, idp.PrivateKeyJWT, ""
			if entry.JWKS, err = keySet(key.Public(), made.keyID); err != nil {
				return err
			}
		}
		c.clients[alg] = made
		c.document.Clients = append(c.document.Clients, entry)
	}
	return nil
}

func keySet(key crypto.PublicKey, id string) (directory.KeySet, error) {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"}}})
	return directory.KeySet(b), err
}

// secrets are the secrets that the crowd brings along.
func (c *crowd) secrets() map[string]string {
	all := map[string]string{passcode: "passcode"}
	for _, cl := range c.clients {
		if cl.secret != "" {
			all[cl.secret] = "client secret"
			all[base64.StdEncoding.EncodeToString([]byte(cl.id+":"+cl.secret))] = "client secret"
		}
	}
	return all
}
