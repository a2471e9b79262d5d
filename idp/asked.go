package idp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Asked are the claims that a client asks for by their names, beside those that
// its scopes give. OIDC Core §5.5.
type Asked struct {
	UserInfo []string `json:"userinfo,omitempty"`
	IDToken  []string `json:"id_token,omitempty"`
}

// ClaimsRequest is what the claims parameter of a request says.
type ClaimsRequest struct {
	Asked
	ACRs      []ACR    // wanted for the ID token, in the client's order
	Essential bool     // no other acr will do
	Subjects  []string // each is asked for as sub: nobody else may be the answer
}

// MaxClaimsRequest bounds a claims parameter, in bytes: room for every claim
// that there is, asked for twice and at length.
const MaxClaimsRequest = 8 << 10

// errClaims is of a claims parameter that is none.
var errClaims = errors.New("not a claims request")

// wantedClaim is how one claim may be asked for; nothing says more than its
// name. What the other claims should be is their client's wish, and passed over:
// OIDC Core §5.5.1 gives these two alone a meaning.
type wantedClaim struct {
	Essential bool     `json:"essential"`
	Value     *string  `json:"value"`
	Values    []string `json:"values"`
}

func (w wantedClaim) values() []string {
	if w.Value != nil {
		return append([]string{*w.Value}, w.Values...)
	}
	return w.Values
}

// ReadClaimsRequest reads a claims parameter. What nobody knows is passed over,
// claims and members alike (OIDC Core §5.5); what cannot be read is an error.
func ReadClaimsRequest(text string) (ClaimsRequest, error) {
	var r ClaimsRequest
	if len(text) > MaxClaimsRequest {
		return r, fmt.Errorf("%w: it has %d bytes", errClaims, len(text))
	}
	// A pointer tells null, which is no request, from an object without members.
	var sent *struct {
		UserInfo map[string]json.RawMessage `json:"userinfo"`
		IDToken  map[string]json.RawMessage `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(text), &sent); err != nil || sent == nil {
		return r, errors.Join(errClaims, err)
	}
	r.UserInfo, r.IDToken = known(sent.UserInfo), known(sent.IDToken)
	for _, text := range []json.RawMessage{sent.IDToken["sub"], sent.UserInfo["sub"]} {
		sub, err := wanted(text)
		if err != nil {
			return r, err
		}
		for _, value := range sub.values() {
			if !slices.Contains(r.Subjects, value) {
				r.Subjects = append(r.Subjects, value)
			}
		}
	}
	acr, err := wanted(sent.IDToken["acr"])
	if err != nil {
		return r, err
	}
	for _, value := range acr.values() {
		r.ACRs = append(r.ACRs, ACR(value))
	}
	r.Essential = acr.Essential && len(r.ACRs) > 0
	return r, nil
}

func wanted(text json.RawMessage) (wantedClaim, error) {
	var w wantedClaim
	if text == nil {
		return w, nil
	}
	if err := json.Unmarshal(text, &w); err != nil {
		return w, errors.Join(errClaims, err)
	}
	return w, nil
}

// known are the names that some scope would give.
func known(member map[string]json.RawMessage) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(member)) {
		if _, ok := byName[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// Learns cuts what is asked for by name down to what c may learn: the claims of
// the scopes that it is registered for, whether it asks for these or not.
func (c Client) Learns(a Asked) Asked {
	allowed := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(c.Scopes, byName[name].scope) })
	}
	return Asked{UserInfo: allowed(a.UserInfo), IDToken: allowed(a.IDToken)}
}

// leaves is what is left of g now that scopes may have been taken from c since:
// a registration counts as it is, also for what was given before.
func (c Client) leaves(g Grant) Grant {
	gone := func(scope string) bool { return !slices.Contains(c.Scopes, scope) }
	if !slices.ContainsFunc(g.Scopes, gone) && len(g.Asked.UserInfo)+len(g.Asked.IDToken) == 0 {
		return g
	}
	g.Scopes, g.Asked = slices.DeleteFunc(slices.Clone(g.Scopes), gone), c.Learns(g.Asked)
	if !slices.Contains(g.Scopes, "selectedrole") && !slices.Contains(g.Scopes, "changedrole") {
		g.Role = ""
	}
	return g
}

// named is a claim that can be asked for by its name: the scope that it is of,
// and how it gets from one answer into another.
type named struct {
	scope string
	put   func(to, from *UserInfo)
}

// byName are the claims of every scope. Those that are in every ID token anyway
// are not among them.
var byName = map[string]named{
	"uid":         {"profile", func(to, from *UserInfo) { to.UID = from.UID }},
	"name":        {"profile", func(to, from *UserInfo) { to.Name = from.Name }},
	"given_name":  {"profile", func(to, from *UserInfo) { to.GivenName = from.GivenName }},
	"family_name": {"profile", func(to, from *UserInfo) { to.FamilyName = from.FamilyName }},

	"nhsid_useruid":    {"nhsperson", func(to, from *UserInfo) { to.UserUID = from.UserUID }},
	"title":            {"nhsperson", func(to, from *UserInfo) { to.Title = from.Title }},
	"initials":         {"nhsperson", func(to, from *UserInfo) { to.Initials = from.Initials }},
	"middle_names":     {"nhsperson", func(to, from *UserInfo) { to.MiddleNames = from.MiddleNames }},
	"display_name":     {"nhsperson", func(to, from *UserInfo) { to.DisplayName = from.DisplayName }},
	"idassurancelevel": {"nhsperson", func(to, from *UserInfo) { to.IALevel = from.IALevel }},

	"email": {"email", func(to, from *UserInfo) { to.Email = from.Email }},

	"gmc_id":        {"professionalmemberships", func(to, from *UserInfo) { to.GMC = from.GMC }},
	"nmc_id":        {"professionalmemberships", func(to, from *UserInfo) { to.NMC = from.NMC }},
	"gdc_id":        {"professionalmemberships", func(to, from *UserInfo) { to.GDC = from.GDC }},
	"gphc_id":       {"professionalmemberships", func(to, from *UserInfo) { to.GPhC = from.GPhC }},
	"gmp_id":        {"professionalmemberships", func(to, from *UserInfo) { to.GMP = from.GMP }},
	"gdp_id":        {"professionalmemberships", func(to, from *UserInfo) { to.GDP = from.GDP }},
	"rcn_id":        {"professionalmemberships", func(to, from *UserInfo) { to.RCN = from.RCN }},
	"consultant_id": {"professionalmemberships", func(to, from *UserInfo) { to.Consultant = from.Consultant }},

	"nhsid_user_orgs":       {"associatedorgs", func(to, from *UserInfo) { to.Orgs = from.Orgs }},
	"nhsid_org_roles":       {"organisationalmemberships", func(to, from *UserInfo) { to.OrgRoles = from.OrgRoles }},
	"nhsid_org_memberships": {"organisationalmemberships", func(to, from *UserInfo) { to.Memberships = from.Memberships }},
	"nhsid_nrbac_roles":     {"nationalrbacaccess", func(to, from *UserInfo) { to.Roles = from.Roles }},
}

// name puts the claims of these names in.
func (u *UserInfo) name(names []string, p Person, assurance string, now time.Time) {
	var all UserInfo
	for _, name := range names {
		all.add(byName[name].scope, p, assurance, now)
	}
	for _, name := range names {
		if claim, ok := byName[name]; ok {
			claim.put(u, &all)
		}
	}
}
