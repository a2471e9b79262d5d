package main

import (
	"fmt"
	"net"
	"net/url"
	"slices"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/federated"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/redis"
)

// serviceName is what people's phones and browsers call the service beside
// what they keep for it.
const serviceName = "Lanyard"

// rooms are the ways to sign in that a service offers.
type rooms struct {
	ways  []idp.Way
	rooms map[string]authenticators.Room
	enrol map[string]authenticators.Enroller
	keys  *passkey.Room // nil: there is no such way
	codes *totp.Room
	away  *federated.Room // nil: there is no such way
}

// add offers a way, and to add it to an account if people can.
func (rs *rooms) add(name string, room authenticators.Room, proves ...idp.Proof) {
	rs.ways = append(rs.ways, idp.Way{Name: name, Proves: proves})
	rs.rooms[name] = room
	if e, ok := room.(authenticators.Enroller); ok {
		rs.enrol[name] = e
	}
}

// openRooms opens the rooms: one line each, and what it needs below.
func (p parts) openRooms(card authenticators.Room, live *redis.Store) (*rooms, error) {
	rs := &rooms{rooms: map[string]authenticators.Room{}, enrol: map[string]authenticators.Enroller{}}
	proves := []idp.Proof{{Method: authenticators.Smartcard, Level: authenticators.AAL3}}
	if p.bridge.Desk { // who has signed in at the old gateway proves that
		proves = append(proves, idp.Proof{Method: authenticators.LegacySmartcard, Level: authenticators.AAL3})
	}
	rs.add(api.SmartcardWay, card, proves...)
	if err := p.keyRoom(rs, live); err != nil {
		return nil, err
	}
	if err := p.codeRoom(rs, live); err != nil {
		return nil, err
	}
	return rs, p.federatedRoom(rs, live)
}

// keyRoom opens the room for passkeys and security keys. Browsers make them for
// a name and not for an address of numbers: a service that has no name has none.
func (p parts) keyRoom(rs *rooms, live *redis.Store) error {
	id, origins := p.webauthn.rpID, p.webauthn.origins
	if id == "" {
		u, err := url.Parse(origin(p.issuer))
		if err != nil || net.ParseIP(u.Hostname()) != nil {
			return nil //nolint:nilerr // an issuer that is no URL is refused elsewhere
		}
		id = u.Hostname()
	}
	if len(origins) == 0 {
		origins = []string{origin(p.issuer)}
	}
	room, err := passkey.New(passkey.Config{RPID: id, RPName: serviceName, Origins: origins, Questions: live.Questions(api.KeyWay), Held: p.registry,
		Metadata: p.webauthn.metadata, Policy: p.webauthn.policy, Now: p.now})
	if err != nil {
		return err
	}
	rs.keys = room
	proves := []idp.Proof{{Method: authenticators.Passkey, Level: authenticators.AAL2}}
	if p.webauthn.metadata != nil {
		proves = slices.Concat([]idp.Proof{{Method: authenticators.FIDO2, Level: authenticators.AAL3}, {Method: authenticators.Apple, Level: authenticators.AAL3}}, proves)
	}
	rs.add(api.KeyWay, room, proves...)
	return nil
}

// keyTrust says whose passkeys and security keys are good.
type keyTrust struct {
	rpID     string   // the domain that they are made for; "" is the issuer's host
	origins  []string // of the pages that ask for them; none is the issuer's
	metadata *passkey.Metadata
	policy   passkey.Policy
}

// codeRoom opens the room for passwords with one-time codes.
func (p parts) codeRoom(rs *rooms, live *redis.Store) error {
	room, err := totp.New(totp.Config{Service: serviceName, People: names{p.registry}, Held: p.registry, Questions: live.Questions(api.CodeWay),
		Guesses: guesses{limits: live, kind: authenticators.CodeKind, now: p.now}, Sealer: p.sealer, Now: p.now})
	if err != nil {
		return err
	}
	rs.codes = room
	rs.add(api.CodeWay, room, idp.Proof{Method: authenticators.TOTP, Level: authenticators.AAL2})
	return nil
}

// federatedRoom opens the room for accounts at the organisation's own provider.
func (p parts) federatedRoom(rs *rooms, live *redis.Store) error {
	if p.upstream == nil {
		return nil
	}
	c := *p.upstream
	c.RedirectURI, c.LinkURI, c.Questions, c.Held, c.Now = origin(p.issuer)+api.FederatedReturn, origin(p.issuer)+api.FederatedLink, live.Questions(api.FederatedWay), p.registry, p.now
	room, err := federated.New(c)
	if err != nil {
		return fmt.Errorf("federation: %w", err)
	}
	rs.away = room
	rs.add(api.FederatedWay, room, idp.Proof{Method: authenticators.Federated, Level: authenticators.AAL2})
	return nil
}
