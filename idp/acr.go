package idp

import (
	"slices"

	"github.com/lanyard-id/lanyard/authenticators"
)

// ACR is an authentication context class: a name for the set of ways to sign
// in that satisfy a client. CIS2 gives the names.
type ACR string

// The classes that this provider knows.
const (
	AAL3Any       ACR = "AAL3_ANY"
	AAL2OrAAL3Any ACR = "AAL2_OR_AAL3_ANY"
	AAL2Any       ACR = "AAL2_ANY"
	AAL3Smartcard ACR = "AAL3_SMARTCARD"
	AAL3CIS2Card  ACR = "AAL3_CIS2_SMARTCARD"
	AAL3N3Card    ACR = "AAL3_N3_SMARTCARD"
	AAL3FIDO2     ACR = "AAL3_FIDO2"
	AAL3IOS       ACR = "AAL3_IOS"
	AAL2TOTP      ACR = "AAL2_TOTP"
	AAL2NHSMail   ACR = "AAL2_NHSMAIL"
)

// class says what meets an ACR: a level, and the methods that count (none
// named: all).
type class struct {
	acr     ACR
	level   authenticators.Level
	methods []authenticators.Method
}

// classes is the table of assurance, in the order in which discovery lists it.
var classes = []class{
	{AAL3Any, authenticators.AAL3, nil},
	{AAL2OrAAL3Any, authenticators.AAL2, nil},
	{AAL2Any, authenticators.AAL2, nil},
	{AAL3Smartcard, authenticators.AAL3, []authenticators.Method{authenticators.Smartcard, authenticators.LegacySmartcard}},
	{AAL3CIS2Card, authenticators.AAL3, []authenticators.Method{authenticators.Smartcard}},
	{AAL3N3Card, authenticators.AAL3, []authenticators.Method{authenticators.LegacySmartcard}},
	{AAL3FIDO2, authenticators.AAL3, []authenticators.Method{authenticators.FIDO2}},
	{AAL3IOS, authenticators.AAL3, []authenticators.Method{authenticators.Apple}},
	{AAL2TOTP, authenticators.AAL2, []authenticators.Method{authenticators.TOTP}},
	{AAL2NHSMail, authenticators.AAL2, []authenticators.Method{authenticators.Federated}},
}

// MetBy says whether having signed in by m at level l satisfies a. A class
// that nobody knows is met by nothing.
func (a ACR) MetBy(m authenticators.Method, l authenticators.Level) bool {
	for _, c := range classes {
		if c.acr == a {
			return l >= c.level && (c.methods == nil || slices.Contains(c.methods, m))
		}
	}
	return false
}

func (a ACR) known() bool {
	return slices.ContainsFunc(classes, func(c class) bool { return c.acr == a })
}

// Wants cuts what a request asks for down to what client c may be given: the
// classes that are known and allowed, in the order of the request, and the
// client's default when the request names none. Nothing left is ErrUnmet:
// a request that was changed on its way gets nothing lower.
func (c Client) Wants(requested []ACR) ([]ACR, error) {
	if len(requested) == 0 {
		requested = []ACR{c.ACRDefault}
	}
	var wants []ACR
	for _, a := range requested {
		if !slices.Contains(wants, a) && a.known() && (len(c.ACRAllowed) == 0 || slices.Contains(c.ACRAllowed, a)) {
			wants = append(wants, a)
		}
	}
	if len(wants) == 0 {
		return nil, ErrUnmet
	}
	return wants, nil
}

// Issue returns the class that goes into the ID token: the first of wants that
// the sign-in meets, as the client wrote it. ErrUnmet if none is met, or if the
// sign-in is below the least level of c.
func (c Client) Issue(wants []ACR, m authenticators.Method, l authenticators.Level) (ACR, error) {
	if l >= c.MinLevel {
		for _, a := range wants {
			if a.MetBy(m, l) {
				return a, nil
			}
		}
	}
	return "", ErrUnmet
}

func (c Client) met(l Login, s *Session) bool {
	_, err := c.Issue(l.Wants, s.Method, s.Level)
	return err == nil
}

// ACRs lists the classes that one of ways can meet: what discovery may
// promise.
func ACRs(ways []Way) []ACR {
	var acrs []ACR
	for _, c := range classes {
		if slices.ContainsFunc(ways, func(w Way) bool {
			return slices.ContainsFunc(w.Proves, func(p Proof) bool { return c.acr.MetBy(p.Method, p.Level) })
		}) {
			acrs = append(acrs, c.acr)
		}
	}
	return acrs
}

// Way is a way to sign in that this service offers, and what it can prove at
// best: several things where it depends on what the person has.
type Way struct {
	Name   string // its room, as it stands in URLs
	Proves []Proof
}

// Proof is a method with its level.
type Proof struct {
	Method authenticators.Method
	Level  authenticators.Level
}

// Ways returns those of ways that could answer login l for client c.
func (c Client) Ways(l Login, ways []Way) []Way {
	var fit []Way
	for _, w := range ways {
		if slices.ContainsFunc(w.Proves, func(p Proof) bool { _, err := c.Issue(l.Wants, p.Method, p.Level); return err == nil }) {
			fit = append(fit, w)
		}
	}
	return fit
}
