package idp

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// How long refresh tokens live.
const (
	// RefreshLife is at most, from the code on: no longer than a session's
	// longest life, and never renewed.
	RefreshLife = 12 * time.Hour

	// RefreshGrace is how long a client may show a used refresh token again. It
	// gets what it was given then: its answer was lost on the way.
	RefreshGrace = 10 * time.Second
)

// Rotation is what a client shows to have new tokens, and what it will get.
type Rotation struct {
	Refresh  string // that it shows
	ClientID string
	Scopes   []string // those it asks for; none: all that it has
	Next     Issued   // what it will get
	Box      string   // Next, for whoever shows Refresh and for nobody else
}

// Issued are the tokens of one answer.
type Issued struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"` // "" where the client may not refresh
}

// Refreshes is what the token endpoint asks of storage to refresh.
type Refreshes interface {
	// Rotate lets r.Next take the place of r.Refresh, whose tokens live on, and
	// returns what the access token stands for. It compares first: another
	// client gets ErrRefresh, and the token stays; scopes that the token has not
	// get ErrScope, likewise. A token that was used within the grace gets the
	// box that was kept then. Later the last one that was used is rotated anew,
	// unless Got was told of it: whether that is a second use, the journal knows.
	// Any other that was used before gets ErrUsed, with its grant, and ends the
	// family. It decides in one atomic step.
	Rotate(ctx context.Context, r Rotation, now, tokenExpires time.Time) (g Grant, box string, err error)

	// Got notes that somebody is given the box that was kept for refresh.
	Got(ctx context.Context, refresh string) error

	// Rotated returns the grant of a refresh token in whose place another stands
	// by now, as long as its family lives, or ErrToken.
	Rotated(ctx context.Context, refresh string, now time.Time) (Grant, error)
}

// Refresh gives a client new tokens for its refresh token: one step in the
// session store and one transaction in the registry (RFC 6749 §6, RFC 9700
// §4.14.2). A second use later than the grace, wherever the first happened and
// whatever was lost since, gets ErrUsed and ends the family. One that gave
// nobody anything, because the registry did not answer, was none, however late
// its client comes again. once are the fences of whatever else this request may
// use once.
func (gs *Grants) Refresh(ctx context.Context, r Rotation, request string, once ...Fence) (Grant, Person, Issued, error) {
	now, family := gs.Now(), FamilyOf(r.Refresh)
	r.Next = Issued{Access: newInFamily(family), Refresh: newInFamily(family)}
	var err error
	if r.Box, err = sealFor(r.Refresh, r.Next); err != nil {
		return Grant{}, Person{}, Issued{}, err
	}
	g, box, err := gs.Refreshes.Rotate(ctx, r, now, now.Add(TokenLife))
	if errors.Is(err, ErrUsed) {
		return Grant{}, Person{}, Issued{}, gs.reused(ctx, RefreshReused, g, request)
	}
	if err != nil {
		return Grant{}, Person{}, Issued{}, err
	}
	event := Event{At: now, Kind: TokenRefreshed, Request: request, Subject: g.Subject, Client: g.ClientID,
		Session: g.SessionID, Family: g.Family, ACR: g.ACR, Level: int(g.Level), Role: g.Role}
	// Who comes again within the grace uses nothing up: the first did.
	used := Fence{Kind: RefreshFence, Hash: Hash(r.Refresh)}
	fences := slices.Concat(once, []Fence{used})
	if box != r.Box {
		event.Flag, fences = Again, once
		if r.Next, err = openFor(r.Refresh, box); err != nil {
			return Grant{}, Person{}, Issued{}, ErrRefresh
		}
	}
	g, p, err := gs.holder(ctx, g)
	if err == nil {
		err = gs.formerLives(ctx, g, g.ClientID)
	}
	if err == nil && !now.Before(g.AuthTime.Add(LongestAt(g.Level).Max)) {
		err = ErrToken // whatever the store says: no token outlives the longest session
	}
	if errors.Is(err, ErrToken) {
		return Grant{}, Person{}, Issued{}, ErrRefresh
	}
	if err != nil {
		return Grant{}, Person{}, Issued{}, err
	}
	err = gs.Journal.Record(ctx, event, fences...)
	if stood, ok := errors.AsType[Used](err); ok && stood.Fence != used {
		return Grant{}, Person{}, Issued{}, fmt.Errorf("%w: %w", ErrClientUnknown, err)
	}
	if errors.Is(err, ErrUsed) { // the session store had forgotten
		return Grant{}, Person{}, Issued{}, gs.reused(ctx, RefreshReused, g, request)
	}
	if err != nil {
		return Grant{}, Person{}, Issued{}, fmt.Errorf("record refresh: %w", err)
	}
	if event.Flag == Again { // of the first the fence tells
		if err := gs.Refreshes.Got(ctx, r.Refresh); err != nil {
			return Grant{}, Person{}, Issued{}, err
		}
	}
	return g, p, r.Next, nil
}

// Again is the flag of a refresh whose tokens were given before.
const Again = "again"

// sealFor closes tokens so that only who shows the secret can open them: the
// store that keeps them knows its hash alone.
func sealFor(secret string, tokens Issued) (string, error) {
	b, err := json.Marshal(tokens)
	if err != nil {
		return "", fmt.Errorf("encode tokens: %w", err)
	}
	box, err := boxOf(secret)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, b, nil)), nil
}

// openFor opens what sealFor has closed.
func openFor(secret, sealed string) (Issued, error) {
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return Issued{}, fmt.Errorf("open tokens: %w", err)
	}
	box, err := boxOf(secret)
	if err != nil {
		return Issued{}, err
	}
	plain, err := box.Open(nil, nil, b, nil)
	if err != nil {
		return Issued{}, fmt.Errorf("open tokens: %w", err)
	}
	var tokens Issued
	if err := json.Unmarshal(plain, &tokens); err != nil {
		return Issued{}, fmt.Errorf("decode tokens: %w", err)
	}
	return tokens, nil
}

// boxOf makes the box of a secret, which has 256 random bits: one hash makes a
// key of it. The nonce is random and goes along.
func boxOf(secret string) (cipher.AEAD, error) {
	key := sha256.Sum256([]byte("refresh box " + secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("box: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
