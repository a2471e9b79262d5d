package main

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is every setting of a production server. A tag holds the setting's
// key, its default and what it means, so that one place decides what the file,
// the environment, the flags, `lanyard config show` and docs/configuration.md
// say. What may not be is in configcheck.go.
type Config struct {
	Issuer         string         `key:"issuer" help:"the issuer URL, to the letter as applications know it"`
	Layout         string         `key:"layout" default:"standard" help:"paths of the endpoints: standard or cis2"`
	Listen         string         `key:"listen" default:"localhost:8080" help:"address for people and applications: plain HTTP, for a balancer that ends TLS"`
	OpsListen      string         `key:"ops_listen" default:"localhost:8082" help:"address of health and metrics, which nobody outside should reach"`
	TrustedProxies []netip.Prefix `key:"trusted_proxies" help:"networks of the balancers whose X-Forwarded-For is believed; empty: nobody's"`

	Postgres  PostgresConfig  `key:"postgres"`
	Redis     RedisConfig     `key:"redis"`
	Keys      KeysConfig      `key:"keys"`
	Smartcard SmartcardConfig `key:"smartcard"`
	Cards     CardsConfig     `key:"cards"`
	WebAuthn  WebAuthnConfig  `key:"webauthn"`
	Federated FederatedConfig `key:"federated"`
	SMTP      SMTPConfig      `key:"smtp"`

	Backchannel BackchannelConfig `key:"backchannel"`
	Clients     ClientsConfig     `key:"clients"`
	Bridge      BridgeConfig      `key:"bridge"`

	Policy   PolicyConfig   `key:"policy"`
	Shutdown ShutdownConfig `key:"shutdown"`
	Tracing  TracingConfig  `key:"tracing"`
	Log      LogConfig      `key:"log"`
}

// PostgresConfig says where the registry is.
type PostgresConfig struct {
	URL      string `key:"url" help:"where the registry is, without a password"`
	URLFile  string `key:"url_file" help:"file that holds the URL instead, which may then have a password"`
	MaxConns int    `key:"max_conns" default:"16" help:"the most connections that one server opens"`
}

// RedisConfig says where that is which may be forgotten.
type RedisConfig struct {
	Addresses            []string `key:"addresses" default:"localhost:6379" help:"host:port of Redis, of its Sentinels, or of some nodes of a Cluster"`
	SentinelMaster       string   `key:"sentinel_master" help:"name of the primary that the Sentinels at addresses watch"`
	SentinelPasswordFile string   `key:"sentinel_password_file" help:"file that holds the password of the Sentinels"`
	Cluster              bool     `key:"cluster" default:"false" help:"the addresses are nodes of a Redis Cluster"`
	Username             string   `key:"username" help:"user of Redis; empty: its default user"`
	PasswordFile         string   `key:"password_file" help:"file that holds the password of Redis"`
	TLS                  bool     `key:"tls" default:"false" help:"speak TLS to Redis and its Sentinels"`
	CAFile               string   `key:"ca_file" help:"PEM file with the authorities of their certificates; empty: the machine's"`
}

// KeysConfig says what opens the signing keys.
type KeysConfig struct {
	KeysetFile string       `key:"keyset_file" help:"file with the keyset that seals signing keys and personal numbers in the registry"`
	PKCS11     PKCS11Config `key:"pkcs11"`
}

// PKCS11Config says where a token is that makes and keeps the signing keys.
type PKCS11Config struct {
	Module  string `key:"module" help:"library of a PKCS#11 token that holds the signing keys; empty: the registry holds them"`
	Token   string `key:"token" help:"label of the token"`
	PINFile string `key:"pin_file" help:"file that holds the PIN of the token"`
}

// SmartcardConfig says whose cards are good.
type SmartcardConfig struct {
	TrustFiles   []string       `key:"trust_files" help:"PEM files with the authorities of the cards: self-signed ones are roots, others stand below them"`
	Revocation   string         `key:"revocation" default:"hard" help:"hard refuses a card when nobody can say whether it was revoked; soft takes it at AAL2 and marks it in the journal"`
	OCSPTimeout  time.Duration  `key:"ocsp_timeout" default:"2s" help:"how long all sources of revocation together may take, 2s at most"`
	OCSPNetworks []netip.Prefix `key:"ocsp_networks" help:"networks of your own in which sources of revocation may stand; empty: none"`
}

// CardsConfig says what issues the certificates of cards.
type CardsConfig struct {
	AuthorityFile string        `key:"authority_file" help:"PEM file with the certificate of the authority that issues cards here, and behind it those above it; empty: none are issued"`
	KeyFile       string        `key:"key_file" help:"file that lanyard keys card-authority made for its key, which the keyset or the PKCS#11 token opens"`
	Life          time.Duration `key:"life" default:"17520h" help:"how long the certificates of cards last"`
	OCSPURL       string        `key:"ocsp_url" help:"where the certificates say that OCSP answers; empty: /cards/ocsp of this service"`
	CRLURL        string        `key:"crl_url" help:"where they say that the revocation list is; empty: /cards/crl of this service"`
}

// WebAuthnConfig says whose passkeys and security keys are good.
type WebAuthnConfig struct {
	RPID             string        `key:"rp_id" help:"the domain that passkeys and security keys are made for; empty: the issuer's host. Never change it: every key that people have is worth nothing afterwards"`
	Origins          []string      `key:"origins" help:"web origins whose pages may ask for keys, the issuer's among them; empty: that one alone"`
	MetadataFile     string        `key:"metadata_file" help:"what the FIDO Alliance publishes of models of keys, as it was fetched; empty: no key is worth AAL3"`
	MetadataRootFile string        `key:"metadata_root_file" help:"PEM file with the one root that the signature of the metadata must lead to; empty: that of the FIDO Alliance, as this release knows it"`
	MetadataGrace    time.Duration `key:"metadata_grace" default:"720h" help:"how long metadata is believed after the next was due; then no key is worth AAL3"`
	Models           []string      `key:"models" help:"AAGUIDs of the models of keys that may be worth AAL3; empty: all that the metadata has nothing against"`
	Certified        string        `key:"certified" help:"the least certification of such a model, such as FIDO_CERTIFIED_L1; empty: none is wanted"`
}

// FederatedConfig says where the organisation's own provider is.
type FederatedConfig struct {
	Issuer           string         `key:"issuer" help:"issuer of the organisation's own OpenID provider, at which people may sign in for AAL2; empty: there is none"`
	ClientID         string         `key:"client_id" help:"as which this service is registered there"`
	ClientSecretFile string         `key:"client_secret_file" help:"file that holds the secret of that registration"`
	Name             string         `key:"name" help:"what people call that provider; empty: its host"`
	Scopes           []string       `key:"scopes" help:"scopes to ask for beside openid"`
	ACRValues        []string       `key:"acr_values" help:"acr values of that provider which prove more than a password; they are asked for"`
	AMRValues        []string       `key:"amr_values" help:"amr values of that provider which prove it; with neither of the two: mfa"`
	Networks         []netip.Prefix `key:"networks" help:"networks of your own in which that provider may stand; empty: none"`
}

// SMTPConfig says who carries mails to people.
type SMTPConfig struct {
	Address      string `key:"address" help:"host:port of the mail server that carries mails to people; empty: none are sent"`
	Username     string `key:"username" help:"user of the mail server; empty: it asks for none"`
	PasswordFile string `key:"password_file" help:"file that holds the password of that user"`
	From         string `key:"from" help:"address that mails come from"`
	TLS          string `key:"tls" default:"starttls" help:"starttls, implicit (TLS from the first byte) or none, which is for this computer alone"`
	CAFile       string `key:"ca_file" help:"PEM file with the authorities of the mail server's certificate; empty: the machine's"`
	Digests      bool   `key:"digests" default:"false" help:"tell managers and agents of the registration authority by mail, each morning, how many are on the worklists of their organisations"`
}

// BackchannelConfig says where applications stand that are told when sessions
// end.
type BackchannelConfig struct {
	Networks []netip.Prefix `key:"networks" help:"networks of your own in which applications may be told that sessions ended; empty: none, and applications inside your own network are not"`
}

// ClientsConfig says where applications keep what they are known by.
type ClientsConfig struct {
	Networks []netip.Prefix `key:"networks" help:"networks of your own in which the keys of applications may be read (jwks_uri); empty: none, and keys inside your own network are not"`
}

// BridgeConfig says which parts of the old service (CIS1) are answered. All are
// off until somebody switches them on, and each can be switched off again.
type BridgeConfig struct {
	Gateway        bool `key:"gateway" default:"false" help:"answer the agents of the old service: sign-in by card, choice of a role, sign-out"`
	Assertion      bool `key:"assertion" default:"false" help:"answer applications of the old service that fetch a role assertion"`
	SessionManager bool `key:"session_manager" default:"false" help:"answer applications of the old service that ask whether a session lives, read it, keep it alive or end it"`
	Exchange       bool `key:"exchange" default:"false" help:"give applications tokens of this service for an SSO token of the old one"`

	Desk bool `key:"desk" default:"false" help:"let new agents that signed in at the gateway too take their person into applications of this service by that session, without the card's being shown again"`

	ExchangeClients []string       `key:"exchange_clients" help:"applications that may exchange SSO tokens; empty: all that are registered for token exchange"`
	Off             []string       `key:"off" help:"applications that are not answered any more, each as NAME:DATE, named as lanyard bridge report does; from 00:00 in London on that day"`
	Listen          string         `key:"listen" help:"address of a listener of its own for the paths of the old service; empty: they are answered where people are"`
	URL             string         `key:"url" help:"where agents reach these paths, as https://gas.hospital.example; empty: the origin of the issuer"`
	Networks        []netip.Prefix `key:"networks" help:"networks from which these paths are answered; empty: all that reach them"`
	SessionMax      time.Duration  `key:"session_max" default:"10h" help:"longest session of the old service; may be shortened only, like the next"`
	SessionIdle     time.Duration  `key:"session_idle" default:"60m" help:"how long such a session lives without being kept alive"`
	SHA1            bool           `key:"sha1" default:"false" help:"take signatures with SHA-1 from cards at the gateway, and nowhere else: old agents make no other"`
	SignAssertions  bool           `key:"sign_assertions" default:"false" help:"sign role assertions (XML signature, SHA-256); the old service did not"`
}

// on says whether any part of the bridge has paths of its own.
func (b BridgeConfig) on() bool { return b.Gateway || b.Assertion || b.SessionManager }

// PolicyConfig is what a hospital may decide for itself.
type PolicyConfig struct {
	AAL3Max  time.Duration `key:"aal3_max" default:"12h" help:"longest session after signing in at AAL3; may be shortened only, like the next three"`
	AAL3Idle time.Duration `key:"aal3_idle" default:"15m" help:"how long such a session lives without an act of its person"`
	AAL2Max  time.Duration `key:"aal2_max" default:"12h" help:"longest session after signing in at AAL2"`
	AAL2Idle time.Duration `key:"aal2_idle" default:"30m" help:"how long such a session lives without an act of its person"`

	BeginsEach   int `key:"begins_each" default:"200" help:"how many logins a second each network may begin at one server, how many cards at desks it may ask for, and how many links its agents may bring; 0: as many as come"`
	BeginsAtOnce int `key:"begins_at_once" default:"2000" help:"how many it may begin, and ask for, at once"`

	Home          string   `key:"home" help:"code of the organisation that runs the service: its registration authority managers alone change applications, rules on cards and the document; empty: nobody does"`
	TemporaryDays int      `key:"temporary_days" default:"14" help:"how many days temporary access may last"`
	SecondPerson  []string `key:"second_person" help:"changes that wait for a second person, each as CHANGE:ASKER:APPROVER; put before those of docs/registry.md"`

	Keys KeysPolicyConfig `key:"keys"`
}

// KeysPolicyConfig says when signing keys change.
type KeysPolicyConfig struct {
	RotateEvery   time.Duration `key:"rotate_every" default:"2160h" help:"how long a signing key signs before the next takes over"`
	PublishBefore time.Duration `key:"publish_before" default:"24h" help:"how long a key is published before it signs, for applications that remember keys"`
	KeepAfter     time.Duration `key:"keep_after" default:"25h" help:"how long a key stays published after it signed last"`
}

// ShutdownConfig says how a server leaves.
type ShutdownConfig struct {
	DrainDelay time.Duration `key:"drain_delay" default:"5s" help:"how long a server that was told to stop says that it is not ready, and serves on, so that balancers leave it"`
	Drain      time.Duration `key:"drain" default:"10s" help:"how long requests in hand may then take"`
}

// TracingConfig says who is told of each step of a request.
type TracingConfig struct {
	Endpoint string `key:"endpoint" help:"URL of an OTLP/HTTP collector for traces; empty: none are made"`
}

// LogConfig says what is logged.
type LogConfig struct {
	Level slog.Level `key:"level" default:"info" help:"least level that is logged: debug, info, warn or error"`
}
