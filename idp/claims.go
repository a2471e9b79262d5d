package idp

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Claims are what a client learns: the ID token and the answer of userinfo.
// They are made together, so they cannot disagree.
type Claims struct {
	IDToken  IDToken
	UserInfo UserInfo
}

// IDToken is the payload of an ID token, with the members that CIS2
// applications expect. Levels are digits in text, aud is one string.
type IDToken struct {
	Issuer         string   `json:"iss"`
	ID             string   `json:"jti,omitempty"` // of those that may be exchanged
	Subject        string   `json:"sub"`
	SubName        string   `json:"subname"`
	Audience       string   `json:"aud"`
	AuthorizedBy   string   `json:"azp"`
	Expires        int64    `json:"exp"` // seconds, as the next two
	IssuedAt       int64    `json:"iat"`
	AuthTime       int64    `json:"auth_time"`
	Nonce          string   `json:"nonce,omitempty"`
	ACR            ACR      `json:"acr"`
	AMR            []string `json:"amr"`
	SessionID      string   `json:"sid"`
	AALevel        string   `json:"authentication_assurance_level"`
	IALevel        string   `json:"id_assurance_level"`
	IALevelOld     string   `json:"idassurancelevel"` // the same under its older name: clients read either
	SelectedRoleID string   `json:"selected_roleid,omitempty"`
	ATHash         string   `json:"at_hash,omitempty"` // OIDC Core §3.1.3.6

	*UserInfo // what was asked for here by name; the members above come before its own
}

// UserInfo is the answer of userinfo. Empty members are left out, lists are
// always arrays.
type UserInfo struct {
	Subject string `json:"sub"`

	// profile
	UID        string `json:"uid,omitempty"`
	Name       string `json:"name,omitempty"`
	GivenName  string `json:"given_name,omitempty"`
	FamilyName string `json:"family_name,omitempty"`

	// nhsperson
	UserUID     string `json:"nhsid_useruid,omitempty"`
	Title       string `json:"title,omitempty"`
	Initials    string `json:"initials,omitempty"`
	MiddleNames string `json:"middle_names,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
	IALevel     string `json:"idassurancelevel,omitempty"`

	Email string `json:"email,omitempty"` // email

	Professional // professionalmemberships

	Orgs        []Org           `json:"nhsid_user_orgs,omitempty"`       // associatedorgs
	OrgRoles    []OrgRole       `json:"nhsid_org_roles,omitempty"`       // organisationalmemberships
	Memberships []OrgMembership `json:"nhsid_org_memberships,omitempty"` // organisationalmemberships
	Roles       []Role          `json:"nhsid_nrbac_roles,omitempty"`     // nationalrbacaccess

	SelectedRoleID string `json:"selected_roleid,omitempty"`
}

// Professional holds a person's numbers at the professional bodies.
type Professional struct {
	GMC        string `json:"gmc_id,omitempty"`
	NMC        string `json:"nmc_id,omitempty"`
	GDC        string `json:"gdc_id,omitempty"`
	GPhC       string `json:"gphc_id,omitempty"`
	GMP        string `json:"gmp_id,omitempty"`
	GDP        string `json:"gdp_id,omitempty"`
	RCN        string `json:"rcn_id,omitempty"`
	Consultant string `json:"consultant_id,omitempty"`
}

// Org is an organisation as nhsid_user_orgs lists it.
type Org struct {
	Name string `json:"org_name"`
	Code string `json:"org_code"`
}

// OrgRole is a person at an organisation, as nhsid_org_roles lists it.
type OrgRole struct {
	OrgPersonID string `json:"person_orgid"`
	Org
}

// OrgMembership is a membership as nhsid_org_memberships lists it.
type OrgMembership struct {
	OrgPersonID string `json:"person_orgid"`
	Org
	GNC string `json:"gnc,omitempty"`
}

// Role is a position as nhsid_nrbac_roles lists it. The member names are as
// irregular as clients expect them.
type Role struct {
	OrgPersonID    string   `json:"person_orgid"`
	RoleID         string   `json:"person_roleid"`
	OrgCode        string   `json:"org_code"`
	RoleName       string   `json:"role_name"`
	RoleCode       string   `json:"role_code"`
	Activities     []string `json:"activities,omitempty"`
	ActivityCodes  []string `json:"activity_codes,omitempty"`
	Workgroups     []string `json:"workgroups,omitempty"`
	WorkgroupCodes []string `json:"workgroups_codes,omitempty"`
	AreasOfWork    []string `json:"aow,omitempty"`
	AreaCodes      []string `json:"aow_codes,omitempty"`
}

// ClaimsFor is the one place where claims are made: what client g.ClientID
// learns of p, by the scopes and decisions of g, at now.
func ClaimsFor(issuer string, p Person, g Grant, now time.Time) Claims {
	assurance := strconv.Itoa(p.IdentityAssurance)
	if _, holds := p.Position(g.Role, now); !holds {
		g.Role = "" // it ended since it was chosen
	}
	c := Claims{
		IDToken: IDToken{
			Issuer: issuer, Subject: p.UID, SubName: p.UID, Audience: g.ClientID, AuthorizedBy: g.ClientID,
			Expires: g.TokenEnd(now).Unix(), IssuedAt: now.Unix(), AuthTime: g.AuthTime.Unix(), Nonce: g.Nonce,
			ACR: g.ACR, AMR: []string{string(g.Method)}, SessionID: g.SessionID, AALevel: strconv.Itoa(int(g.Level)),
			IALevel: assurance, IALevelOld: assurance, SelectedRoleID: g.Role,
		},
		UserInfo: UserInfo{Subject: p.UID, SelectedRoleID: g.Role},
	}
	for _, scope := range g.Scopes {
		c.UserInfo.add(scope, p, assurance, now)
	}
	c.UserInfo.name(g.Asked.UserInfo, p, assurance, now)
	if len(g.Asked.IDToken) > 0 {
		c.IDToken.UserInfo = &UserInfo{}
		c.IDToken.name(g.Asked.IDToken, p, assurance, now)
	}
	return c
}

// add puts in what one scope gives.
func (u *UserInfo) add(scope string, p Person, assurance string, now time.Time) {
	switch scope {
	case "profile":
		u.UID = p.UID
		u.Name = strings.TrimSpace(p.Name.Given + " " + p.Name.Family)
		u.GivenName, u.FamilyName = p.Name.Given, p.Name.Family
	case "nhsperson":
		u.UserUID, u.IALevel = p.UID, assurance
		u.Title, u.MiddleNames, u.DisplayName = p.Name.Title, p.Name.Middle, p.Name.Display
		u.Initials = initials(p.Name.Middle)
	case "email":
		u.Email = p.Email
	case "professionalmemberships":
		u.Professional = professional(p.Professional)
	case "associatedorgs":
		u.Orgs = orgs(p.Current(now))
	case "organisationalmemberships":
		u.OrgRoles, u.Memberships = orgRoles(p.Current(now)), memberships(p.Memberships)
	case "nationalrbacaccess":
		u.Roles = roles(p.Current(now))
	}
}

// initials returns the first letters of middle names.
func initials(middle string) string {
	var b strings.Builder
	for _, name := range strings.Fields(middle) {
		r, _ := utf8.DecodeRuneInString(name)
		b.WriteRune(r)
	}
	return b.String()
}

func professional(ids map[string]string) Professional {
	return Professional{
		GMC: ids["gmc_id"], NMC: ids["nmc_id"], GDC: ids["gdc_id"], GPhC: ids["gphc_id"],
		GMP: ids["gmp_id"], GDP: ids["gdp_id"], RCN: ids["rcn_id"], Consultant: ids["consultant_id"],
	}
}

// orgs lists the organisations of positions, once each.
func orgs(positions []Position) []Org {
	var list []Org
	seen := map[string]bool{}
	for _, pos := range positions {
		if !seen[pos.Organisation.Code] {
			seen[pos.Organisation.Code] = true
			list = append(list, org(pos.Organisation))
		}
	}
	return list
}

func org(o Organisation) Org { return Org{Name: o.Name, Code: o.Code} }

// orgRoles lists who the person is at each organisation, once each.
func orgRoles(positions []Position) []OrgRole {
	var list []OrgRole
	seen := map[string]bool{}
	for _, pos := range positions {
		if !seen[pos.OrgPersonID] {
			seen[pos.OrgPersonID] = true
			list = append(list, OrgRole{OrgPersonID: pos.OrgPersonID, Org: org(pos.Organisation)})
		}
	}
	return list
}

func memberships(of []Membership) []OrgMembership {
	var list []OrgMembership
	for _, m := range of {
		list = append(list, OrgMembership{OrgPersonID: m.OrgPersonID, Org: org(m.Organisation), GNC: m.GNC})
	}
	return list
}

func roles(positions []Position) []Role {
	var list []Role
	for _, pos := range positions {
		r := Role{OrgPersonID: pos.OrgPersonID, RoleID: pos.ID, OrgCode: pos.Organisation.Code, RoleName: pos.RoleName, RoleCode: pos.RoleCode}
		r.ActivityCodes, r.Activities = split(pos.Activities)
		r.WorkgroupCodes, r.Workgroups = split(pos.Workgroups)
		r.AreaCodes, r.AreasOfWork = split(pos.AreasOfWork)
		list = append(list, r)
	}
	return list
}

func split(list []Coded) (codes, names []string) {
	for _, c := range list {
		codes, names = append(codes, c.Code), append(names, c.Name)
	}
	return codes, names
}
