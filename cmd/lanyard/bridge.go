package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/api"
	legacy "github.com/lanyard-id/lanyard/api/cis1"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/store/redis"
)

// mountBridge puts on pages what is switched on of the old service, and lets
// grants exchange its SSO tokens. With all off it does nothing.
func (p parts) mountBridge(pages *api.Server, room *smartcard.Room, live *redis.Store, journal idp.Journal, grants *idp.Grants, wait func(context.Context) time.Duration) {
	b := p.bridge
	if !b.on() && !b.Exchange {
		return
	}
	sessions := &cis1.Sessions{Store: live, People: p.registry, Journal: journal, Fences: p.registry,
		Timers: idp.Timers{Max: b.SessionMax, Idle: b.SessionIdle}, Now: p.now}
	if b.Exchange {
		grants.SSO, grants.SSOClients = sessions, b.ExchangeClients
	}
	if !b.on() {
		return
	}
	cards := smartcard.NewGateway(room, smartcard.GatewayConfig{Questions: live.Questions("cis1"), Rules: p.registry, Sign: p.signChallenge, SHA1: b.SHA1})
	c := legacy.Config{Gateway: b.Gateway, Assertion: b.Assertion, SessionManager: b.SessionManager,
		URL: strings.TrimSuffix(cmp.Or(b.URL, origin(p.issuer)), "/"), Help: origin(p.issuer) + "/", Networks: b.Networks,
		Cards: cards, Sessions: sessions, Words: pages, Arrivals: wait, Now: p.now, Log: p.log}
	if b.SignAssertions {
		c.Signer = p.assertionKey
	}
	pages.Legacy, pages.LegacyApart = legacy.New(c).Mount, b.Listen != ""
}

// signChallenge signs a challenge as this service's: old agents bring that back.
func (p parts) signChallenge(challenge []byte) ([]byte, error) {
	key, ok := p.keys().Signer(idp.RSAKey, p.now())
	if !ok {
		return nil, errors.New("no key signs with RSA")
	}
	sum := sha256.Sum256(challenge)
	return key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// assertionKey is the key that signs role assertions now, and since when.
func (p parts) assertionKey() (crypto.Signer, time.Time, bool) {
	key, ok := p.keys().Signer(idp.RSAKey, p.now())
	return key.Signer, key.SignsFrom, ok
}
