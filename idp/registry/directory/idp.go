package directory

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// IDP returns o as the rules know it.
func (o Organisation) IDP() idp.Organisation {
	return idp.Organisation{Code: o.Code, Name: o.Name}
}

// ByCode returns the organisations of d by their code, as the rules
// know them.
func (d Document) ByCode() map[string]idp.Organisation {
	orgs := make(map[string]idp.Organisation, len(d.Organisations))
	for _, o := range d.Organisations {
		orgs[o.Code] = o.IDP()
	}
	return orgs
}

// IDP returns p as the rules know it, which shares nothing with p. orgs has
// the organisations of p by their code.
func (p Person) IDP(orgs map[string]idp.Organisation) idp.Person {
	person := idp.Person{
		UID:               p.UID,
		Name:              p.Name.idp(),
		Email:             p.Email,
		IdentityAssurance: p.IdentityAssurance,
		Profile:           p.Profile,
		Robot:             p.Robot.Owner != "",
		Until:             p.Robot.Until,
		Professional:      p.Professional.claims(),
	}
	for _, pos := range p.Positions {
		person.Positions = append(person.Positions, idp.Position{
			ID:           pos.ID,
			OrgPersonID:  pos.OrgPersonID,
			Organisation: orgs[pos.Organisation],
			RoleCode:     pos.RoleCode,
			RoleName:     pos.RoleName,
			Activities:   coded(pos.Activities),
			AreasOfWork:  coded(pos.AreasOfWork),
			Workgroups:   coded(pos.Workgroups),
			From:         pos.From,
			To:           pos.To,
		})
	}
	for _, m := range p.Memberships {
		person.Memberships = append(person.Memberships, idp.Membership{
			OrgPersonID: m.OrgPersonID, Organisation: orgs[m.Organisation], GNC: m.GNC,
		})
	}
	person.Holds = p.holds()
	return person
}

// holds returns what p holds, as sessions call it, and whether it may be used.
func (p Person) holds() map[string]bool {
	var held map[string]bool
	hold := func(called string, usable bool) {
		if held == nil {
			held = map[string]bool{}
		}
		held[called] = usable
	}
	for _, c := range p.Cards {
		if c.Registered {
			hold("card:"+CardSerial(c.Serial), c.State == "active")
		}
	}
	for _, a := range p.Authenticators {
		hold(a.Held(p.UID).Called(), a.State == authenticators.Active)
	}
	return held
}

// Held returns a as rooms know it, of the person subject.
func (a Authenticator) Held(subject string) authenticators.Authenticator {
	added, _ := time.Parse(time.RFC3339Nano, a.AddedAt) // none is zero
	return authenticators.Authenticator{
		ID: a.ID, Subject: subject, Kind: a.Kind, Handle: a.Handle, Name: a.Name, Model: a.Model,
		Method: a.Method, Level: authenticators.Level(a.Level), State: a.State, SelfClaimed: a.SelfClaimed,
		AddedAt: added, Record: raw(a.Record), Mark: raw(a.Mark),
	}
}

// AuthenticatorOf returns a as a document has it.
func AuthenticatorOf(a authenticators.Authenticator) Authenticator {
	return Authenticator{
		ID: a.ID, Kind: a.Kind, Handle: a.Handle, Name: a.Name, Model: a.Model,
		Method: a.Method, Level: int(a.Level), State: a.State, SelfClaimed: a.SelfClaimed,
		AddedAt: written(a.AddedAt), Record: compact(a.Record), Mark: compact(a.Mark),
	}
}

// compact returns JSON without the space that databases put into it, and text
// that is none as it is: Read will say so.
func compact(v json.RawMessage) Record {
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return Record(v)
	}
	return Record(b.String())
}

func raw(r Record) json.RawMessage {
	if r == "" {
		return nil
	}
	return json.RawMessage(r)
}

func (n Name) idp() idp.Name {
	display := n.Display
	if display == "" {
		display = strings.Join(strings.Fields(n.Title+" "+n.Given+" "+n.Family), " ")
	}
	return idp.Name{Title: n.Title, Given: n.Given, Middle: n.Middle, Family: n.Family, Display: display}
}

// claims returns the numbers that p has by their key, which is the claim's
// name; nil if there are none.
func (p Professional) claims() map[string]string {
	var numbers map[string]string
	v := reflect.ValueOf(p)
	for _, f := range (shapes{}).of(v.Type()) {
		if number := v.Field(f.index).String(); number != "" {
			if numbers == nil {
				numbers = map[string]string{}
			}
			numbers[f.key] = number
		}
	}
	return numbers
}

func coded(codes []Coded) []idp.Coded {
	var out []idp.Coded
	for _, c := range codes {
		out = append(out, idp.Coded(c))
	}
	return out
}

// IDP returns c as the rules know it, which shares nothing with c.
func (c Client) IDP() idp.Client {
	return idp.Client{
		ID:                     c.ID,
		Name:                   c.Name,
		SecretHash:             string(c.SecretHash),
		AuthMethod:             c.AuthMethod,
		JWKS:                   append([]byte(nil), c.JWKS...),
		JWKSURI:                c.JWKSURI,
		AssertionAlgs:          slices.Clone(c.AssertionAlgs),
		AssertionAudiences:     slices.Clone(c.AssertionAudiences),
		RedirectURIs:           slices.Clone(c.RedirectURIs),
		PostLogoutRedirectURIs: slices.Clone(c.PostLogoutRedirectURIs),
		BackchannelLogoutURI:   c.BackchannelLogoutURI,
		Scopes:                 slices.Clone(c.Scopes),
		Grants:                 slices.Clone(c.Grants),
		ResponseModes:          slices.Clone(c.ResponseModes),
		IDTokenAlg:             c.IDTokenAlg,
		UserinfoAlg:            c.UserinfoAlg,
		RequirePKCE:            c.RequirePKCE,
		ACRDefault:             c.ACRDefault,
		ACRAllowed:             slices.Clone(c.ACRAllowed),
		MinLevel:               authenticators.Level(c.MinLevel),
		RequiresRole:           c.RequiresRole,
		AcceptsUnverified:      c.AcceptsUnverified,
		ExchangeFrom:           slices.Clone(c.ExchangeFrom),
	}
}
