// Package directory reads and writes the directory document: one YAML or JSON
// format for the seed, the saved state, `config export` and `config apply`.
//
// The types say everything about the format: a field's tag holds its key, its
// default and its limits, and the order of fields is the order of keys. What a
// document means is decided elsewhere; here it is only read with great care.
// A document is read whole or not at all, and every error names its line.
//
// Text is read as it is written, whatever YAML thinks its type is: 5E1, 0001
// and on are text. Only null, ~ and nothing mean that a value is absent.
// Anchors, aliases, merge keys and tags are refused: two places that look
// different must not mean the same.
package directory

import (
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// Document is a directory: who and what Lanyard knows.
//
// A tag reads `doc:"key,option,..."` with the options
//
//	required    the key must be there and not empty
//	default=A B what an absent key means; several words are a list
//	enum=NAME   one of enums[NAME]
//	range=A..B  a whole number from A to B
//	form=NAME   text that forms[NAME] accepts
//	also=KEY    a second key that may be read in place of the first
//	flow        written on one line
type Document struct {
	Policy        Policy         `doc:"policy"`
	Organisations []Organisation `doc:"organisations,flow"`
	People        []Person       `doc:"people"`
	Clients       []Client       `doc:"clients"`
}

// Policy is what may still be used, and from which day no more.
type Policy struct {
	CardSeries []SeriesRule `doc:"card_series,flow"`
	Agents     []AgentRule  `doc:"agents,flow"`
	WarnDays   []int        `doc:"warn_days,flow,range=0..3650,default=90 30 14 7 3 1"` // days before an end
}

// SeriesRule is what is known of a series of cards.
type SeriesRule struct {
	Series        int      `doc:"series,required,range=1..99"`
	BlockedFrom   idp.Date `doc:"blocked_from"` // from 00:00 that day in London; empty: not
	LegacyGateway bool     `doc:"legacy_gateway,default=true"`
}

// AgentRule blocks versions of a program that shows cards.
type AgentRule struct {
	Product     string   `doc:"product,required"`
	Except      string   `doc:"except"` // the one version that stays
	Below       string   `doc:"below"`  // versions before this one are blocked
	BlockedFrom idp.Date `doc:"blocked_from"`
}

// Organisation is where people work.
type Organisation struct {
	Code      string   `doc:"code,required"` // ODS code
	Name      string   `doc:"name"`
	Parent    string   `doc:"parent"` // code; empty: none
	ClosedOn  idp.Date `doc:"closed_on"`
	Successor string   `doc:"successor"` // code
}

// Person is someone who cares for patients, with all that belongs to them.
type Person struct {
	UID               string          `doc:"uid,required,form=uid"` // 12 digits, never used again
	Name              Name            `doc:"name,flow"`
	Email             string          `doc:"email"`
	Mobile            string          `doc:"mobile"`
	NINumber          string          `doc:"ni_number"`
	IdentityAssurance int             `doc:"identity_assurance,range=0..3"`
	Profile           idp.Profile     `doc:"profile,enum=profile,default=verified"`
	Robot             Robot           `doc:"robot,flow"`
	MergedInto        string          `doc:"merged_into,form=uid"` // whose duplicate they were; empty: nobody's
	Professional      Professional    `doc:"professional,flow"`
	Positions         []Position      `doc:"positions"`
	Memberships       []Membership    `doc:"memberships,flow"`
	Cards             []Card          `doc:"cards,flow"`
	Authenticators    []Authenticator `doc:"authenticators,flow"`
}

// Robot says of a profile that a program works with it. Who answers for what
// it does is a person; without an owner the profile is no robot's.
type Robot struct {
	Owner string   `doc:"owner,form=uid"`
	Until idp.Date `doc:"until"` // its last day; empty: open
}

// Name is a person's name in its parts.
type Name struct {
	Title   string `doc:"title"`
	Given   string `doc:"given"`
	Middle  string `doc:"middle"` // all of them, with spaces between
	Family  string `doc:"family"`
	Display string `doc:"display"` // empty: title, given and family
}

// Professional holds a person's numbers in professional registers.
type Professional struct {
	GMC        string `doc:"gmc_id"`
	NMC        string `doc:"nmc_id"`
	GDC        string `doc:"gdc_id"`
	GPhC       string `doc:"gphc_id"`
	GMP        string `doc:"gmp_id"`
	GDP        string `doc:"gdp_id"`
	RCN        string `doc:"rcn_id"`
	Consultant string `doc:"consultant_id"`
}

// Position is work that a person is assigned to.
type Position struct {
	ID           string   `doc:"id,required"` // person_roleid
	OrgPersonID  string   `doc:"org_person_id"`
	Organisation string   `doc:"organisation,required"` // code
	RoleCode     string   `doc:"role_code,required"`
	RoleName     string   `doc:"role_name"`
	Activities   []Coded  `doc:"activities,flow"`
	AreasOfWork  []Coded  `doc:"areas_of_work,flow"`
	Workgroups   []Coded  `doc:"workgroups,flow"`
	From         idp.Date `doc:"from"` // first and last day included; empty: open
	To           idp.Date `doc:"to"`
	Reason       string   `doc:"reason"` // of work for a time
}

// Coded is a code with its name.
type Coded struct {
	Code string `doc:"code,required"`
	Name string `doc:"name"`
}

// Membership is a person's membership of an organisation beside any position
// there.
type Membership struct {
	OrgPersonID  string `doc:"org_person_id"`
	Organisation string `doc:"organisation,required"` // code
	GNC          string `doc:"gnc"`
}

// Card is a smartcard. Passcode, PUK and TriesLeft are of the virtual card
// that stands for it in development, and so is Certificate.
type Card struct {
	Serial      string      `doc:"serial,required,form=serial"` // of its certificate, in hex
	Series      int         `doc:"series,range=1..99,default=9"`
	State       CardState   `doc:"state,enum=card_state,default=active"`
	Registered  bool        `doc:"registered,default=true"` // false: a card that no one knows
	Certificate Certificate `doc:"certificate,default=valid"`
	Passcode    string      `doc:"passcode,form=passcode"`
	PUK         string      `doc:"puk,form=puk"`
	TriesLeft   int         `doc:"tries_left,range=0..15,default=3"`
	EndsOn      idp.Date    `doc:"ends_on"` // last day of its certificate; empty: nobody has said
}

// MaxTries is how many tries a card can count.
const MaxTries = 15 // NIST SP 800-73-4 part 2 §3.2.1: one digit of hex

// CardState says whether a card may be used.
type CardState string

// Authenticator is one that a person holds beside their cards. Without its
// record it is known, and cannot be used.
type Authenticator struct {
	ID          string                `doc:"id,required"`
	Kind        authenticators.Kind   `doc:"kind,required,enum=authenticator_kind"`
	Handle      string                `doc:"handle,required"` // by which its room finds it
	Name        string                `doc:"name"`            // what its person calls it
	Model       string                `doc:"model"`
	Method      authenticators.Method `doc:"method,required,enum=method"`
	Level       int                   `doc:"level,required,range=1..3"`
	State       authenticators.State  `doc:"state,enum=authenticator_state,default=active"`
	SelfClaimed bool                  `doc:"self_claimed"`
	AddedAt     string                `doc:"added_at,form=time"`
	Record      Record                `doc:"record"` // of WriteSecrets alone, like the next
	Mark        Record                `doc:"mark"`   // what the next use is compared with
}

// Client is a registered relying party. Its members are those of idp.Client.
type Client struct {
	ID                     string         `doc:"id,required"`
	Name                   string         `doc:"name"`
	SecretHash             SecretHash     `doc:"secret_hash,also=secret"`
	AuthMethod             idp.AuthMethod `doc:"auth_method,enum=auth_method,default=client_secret_basic"`
	JWKSURI                string         `doc:"jwks_uri,form=keys"`
	JWKS                   KeySet         `doc:"jwks"`
	AssertionAlgs          []string       `doc:"assertion_algs,flow,enum=alg,default=RS256 RS512 PS256 ES256"`
	AssertionAudiences     []string       `doc:"assertion_audiences,flow,enum=audience,default=issuer token_endpoint"`
	RedirectURIs           []string       `doc:"redirect_uris,form=redirect"`
	PostLogoutRedirectURIs []string       `doc:"post_logout_redirect_uris,form=redirect"`
	BackchannelLogoutURI   string         `doc:"backchannel_logout_uri,form=told"`
	Scopes                 []string       `doc:"scopes,flow,enum=scope,default=openid"`
	Grants                 []string       `doc:"grants,flow,enum=grant,default=authorization_code"`
	ResponseModes          []string       `doc:"response_modes,flow,enum=response_mode,default=query form_post"`
	IDTokenAlg             string         `doc:"id_token_alg,enum=alg,default=RS256"`
	UserinfoAlg            string         `doc:"userinfo_alg,enum=alg"` // empty: JSON
	RequirePKCE            bool           `doc:"require_pkce"`
	ACRDefault             idp.ACR        `doc:"acr_default,enum=acr,default=AAL3_ANY"`
	ACRAllowed             []idp.ACR      `doc:"acr_allowed,flow,enum=acr"`
	MinLevel               int            `doc:"min_level,range=1..3,default=1"`
	RequiresRole           bool           `doc:"requires_role"`
	AcceptsUnverified      bool           `doc:"accepts_unverified"`
	ExchangeFrom           []string       `doc:"exchange_from,flow"` // ids of clients
}

// enums are the words that a key may have as its value.
var enums = map[string][]string{
	"profile":             words(idp.Verified, idp.Unverified, idp.Restricted, idp.Closed),
	"card_state":          {"active", "suspended", "blocked", "revoked"},
	"authenticator_kind":  words(authenticators.KeyKind, authenticators.CodeKind, authenticators.FederatedKind),
	"authenticator_state": words(authenticators.Active, authenticators.Suspended),
	"method": words(authenticators.FIDO2, authenticators.Apple, authenticators.Passkey,
		authenticators.TOTP, authenticators.Federated),
	"auth_method":   words(idp.SecretBasic, idp.SecretPost, idp.PrivateKeyJWT, idp.NoAuth),
	"alg":           {"RS256", "RS512", "PS256", "ES256", "EdDSA"},
	"audience":      {"issuer", "token_endpoint"},
	"scope":         idp.Scopes,
	"grant":         {"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"},
	"response_mode": {"query", "form_post"},
	"acr": words(idp.AAL3Any, idp.AAL2OrAAL3Any, idp.AAL2Any, idp.AAL3Smartcard, idp.AAL3CIS2Card,
		idp.AAL3N3Card, idp.AAL3FIDO2, idp.AAL3IOS, idp.AAL2TOTP, idp.AAL2NHSMail),
}

func words[S ~string](values ...S) []string {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = string(v)
	}
	return text
}
