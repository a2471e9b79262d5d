package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

var clientID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._\-]{0,59}$`)

// ownClients is what the names of the service's own applications begin with.
const ownClients = "lanyard-"

// Client is a registered application: a directory.Client with the keys of its
// document. JSON that leaves a key out means its default.
type Client struct {
	ID                     string               `json:"id"`
	Name                   string               `json:"name"`
	SecretHash             directory.SecretHash `json:"-"`
	AuthMethod             idp.AuthMethod       `json:"auth_method"`
	JWKSURI                string               `json:"jwks_uri"`
	JWKS                   directory.KeySet     `json:"jwks"`
	AssertionAlgs          []string             `json:"assertion_algs"`
	AssertionAudiences     []string             `json:"assertion_audiences"`
	RedirectURIs           []string             `json:"redirect_uris"`
	PostLogoutRedirectURIs []string             `json:"post_logout_redirect_uris"`
	BackchannelLogoutURI   string               `json:"backchannel_logout_uri"`
	Scopes                 []string             `json:"scopes"`
	Grants                 []string             `json:"grants"`
	ResponseModes          []string             `json:"response_modes"`
	IDTokenAlg             string               `json:"id_token_alg"`
	UserinfoAlg            string               `json:"userinfo_alg"`
	RequirePKCE            bool                 `json:"require_pkce"`
	ACRDefault             idp.ACR              `json:"acr_default"`
	ACRAllowed             []idp.ACR            `json:"acr_allowed"`
	MinLevel               int                  `json:"min_level"`
	RequiresRole           bool                 `json:"requires_role"`
	AcceptsUnverified      bool                 `json:"accepts_unverified"`
	ExchangeFrom           []string             `json:"exchange_from"`
}

// UnmarshalJSON reads a client as a document does: what is left out has its
// default.
func (c *Client) UnmarshalJSON(text []byte) error {
	d, err := directory.Read(strings.NewReader(`{"clients": [{"id": "x"}]}`))
	if err != nil {
		return fmt.Errorf("defaults of clients: %w", err)
	}
	type plain Client
	p := plain(d.Clients[0])
	p.ID = ""
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return err
	}
	*c = Client(p)
	return nil
}

// check says whether the client could stand in a document: what may stand there
// is decided in one place.
func (c Client) check() error {
	var f checks
	f.like("client.id", c.ID, clientID, true)
	f.text("client.name", c.Name, maxLongName, true)
	if err := f.err(); err != nil {
		return err
	}
	if strings.HasPrefix(c.ID, ownClients) {
		return refuse(ErrOwnClient, "client.id", Taken)
	}
	var text bytes.Buffer
	if err := directory.Write(&text, directory.Document{Clients: []directory.Client{directory.Client(c)}}); err != nil {
		return refuse(ErrField, "client.jwks", Form)
	}
	_, err := directory.Read(&text)
	problems, ok := errors.AsType[directory.Problems](err)
	if err != nil && !ok {
		return fmt.Errorf("read client: %w", err)
	}
	for _, p := range problems {
		key := "client"
		if quoted, ok := strings.CutPrefix(p.Text, `"`); ok {
			name, _, _ := strings.Cut(quoted, `"`)
			key += "." + name
		}
		f.add(key, Form)
	}
	if c.AuthMethod == idp.PrivateKeyJWT && c.JWKS == "" && c.JWKSURI == "" {
		f.add("client.jwks", Missing)
	}
	if len(c.Grants) == 0 {
		f.add("client.grants", Missing)
	}
	if slices.Contains(c.Grants, "authorization_code") && len(c.RedirectURIs) == 0 {
		f.add("client.redirect_uris", Missing)
	}
	return f.err()
}

// hasSecret says whether the client proves itself with a secret.
func (c Client) hasSecret() bool {
	return c.AuthMethod == idp.SecretBasic || c.AuthMethod == idp.SecretPost
}

// knows says whether the registry has the clients that c takes tokens from.
func (c Client) knows(r *Records) error {
	for i, id := range c.ExchangeFrom {
		if id != c.ID && r.Clients[id] == nil {
			return refuse(ErrNoClient, at("client.exchange_from", i), Unknown)
		}
	}
	return nil
}

// AddClient registers an application. Where it proves itself with a secret, the
// service makes one: Done has it, once.
type AddClient struct {
	Client Client `json:"client"`
}

// Kind implements Change.
func (AddClient) Kind() Kind { return ClientAdded }

func (ch AddClient) check() error { return ch.Client.check() }

func (ch AddClient) touches() Touch {
	return Touch{Clients: append([]string{ch.Client.ID}, ch.Client.ExchangeFrom...)}
}

func (AddClient) about(*Records) About { return About{} }

func (ch AddClient) make(r *Records, c *Case) error {
	if r.Clients[ch.Client.ID] != nil {
		return refuse(idp.ErrTaken, "client.id", Taken)
	}
	if err := ch.Client.knows(r); err != nil {
		return err
	}
	client := directory.Client(ch.Client)
	client.SecretHash = ""
	if ch.Client.hasSecret() {
		c.Done.Secret = idp.NewSecret()
		client.SecretHash = directory.SecretHash(idp.HashSecret(c.Done.Secret))
	}
	r.Clients[client.ID] = &client
	c.Done.ID = client.ID
	c.journal(r, idp.Event{Client: client.ID})
	return nil
}

// ChangeClient replaces what is registered of an application, its secret aside.
type ChangeClient struct {
	Client    Client `json:"client"`
	NewSecret bool   `json:"new_secret,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Kind implements Change.
func (ChangeClient) Kind() Kind { return ClientChanged }

func (ch ChangeClient) words() string { return ch.Reason }

func (ch ChangeClient) check() error {
	var f checks
	f.reason(ch.Reason, false)
	if err := f.err(); err != nil {
		return err
	}
	return ch.Client.check()
}

func (ch ChangeClient) touches() Touch {
	return Touch{Clients: append([]string{ch.Client.ID}, ch.Client.ExchangeFrom...)}
}

func (ChangeClient) about(*Records) About { return About{} }

func (ch ChangeClient) make(r *Records, c *Case) error {
	was := r.Clients[ch.Client.ID]
	if was == nil || stoppedClient(*was) {
		return ErrNoClient
	}
	if err := ch.Client.knows(r); err != nil {
		return err
	}
	client := directory.Client(ch.Client)
	client.SecretHash = was.SecretHash
	switch {
	case !ch.Client.hasSecret():
		client.SecretHash = ""
	case ch.NewSecret || was.SecretHash == "":
		c.Done.Secret = idp.NewSecret()
		client.SecretHash = directory.SecretHash(idp.HashSecret(c.Done.Secret))
	}
	*was = client
	c.Done.ID = client.ID
	c.journal(r, idp.Event{Client: client.ID})
	return nil
}

// stopClient leaves nothing of a client but its name and what its sessions are
// ended by: it can neither begin anything nor prove itself, and its id stays
// taken.
func stopClient(c *directory.Client) {
	*c = directory.Client{ID: c.ID, Name: c.Name, AuthMethod: idp.PrivateKeyJWT, BackchannelLogoutURI: c.BackchannelLogoutURI,
		IDTokenAlg: c.IDTokenAlg, UserinfoAlg: c.UserinfoAlg, ACRDefault: c.ACRDefault, MinLevel: c.MinLevel}
}

func stoppedClient(c directory.Client) bool { return len(c.Grants) == 0 }

// RemoveClient stops an application for good: what it was given is refused from
// then on. Its id is never used again.
type RemoveClient struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Kind implements Change.
func (RemoveClient) Kind() Kind { return ClientRemoved }

func (ch RemoveClient) words() string { return ch.Reason }

func (ch RemoveClient) check() error {
	var f checks
	f.like("id", ch.ID, clientID, true)
	f.reason(ch.Reason, true)
	return f.err()
}

func (ch RemoveClient) touches() Touch    { return Touch{Clients: []string{ch.ID}} }
func (RemoveClient) about(*Records) About { return About{} }

func (ch RemoveClient) make(r *Records, c *Case) error {
	client := r.Clients[ch.ID]
	if client == nil || stoppedClient(*client) {
		return ErrNoClient
	}
	stopClient(client)
	c.Done.ID = ch.ID
	c.journal(r, idp.Event{Client: ch.ID})
	return nil
}
