package directory

import (
	"reflect"
	"slices"
	"strings"

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
	return person
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
	}
}
