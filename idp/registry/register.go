package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Registered is what somebody says who makes a profile for themself.
type Registered struct {
	Name PersonName
	Claimed
}

// Made is who somebody says that they are, until their profile is made.
type Made struct {
	Name  PersonName `json:"name"`
	Email string     `json:"email"`
}

// Register begins to make an unverified profile. It goes on as a claim does: with
// the code from the mail, and what they sign in with, by which the profile is
// made. It is nil whether the address is somebody's already or not: whoever has
// it knows, and nobody else is told.
func (s *Claims) Register(ctx context.Context, said Registered) error {
	said.Email = strings.TrimSpace(said.Email)
	said.Name.Given, said.Name.Family = strings.TrimSpace(said.Name.Given), strings.TrimSpace(said.Name.Family)
	said.Name.Display = strings.Join(strings.Fields(said.Name.Given+" "+said.Name.Family), " ")
	var f checks
	f.details(Details{Name: said.Name, Email: said.Email})
	if said.Email == "" {
		f.add("email", Missing)
	}
	if err := f.err(); err != nil {
		return err
	}
	key := idp.EmailKey(said.Email)
	if err := s.arrive(ctx, key, said.Claimed); err != nil {
		return err
	}
	_, err := s.Contacts.PersonByEmail(ctx, key)
	free := errors.Is(err, idp.ErrNotFound)
	if err != nil && !free {
		return fmt.Errorf("person by e-mail: %w", err)
	}
	p := idp.Contact{UID: NewNumber(), Email: said.Email}
	if err := s.send(ctx, p, free, said.Claimed); err != nil {
		return err
	}
	return s.keep(ctx, said.Browser, Claim{Subject: p.UID, Email: key, Matched: free, Made: &Made{said.Name, said.Email}})
}

// of returns whom a claim is of: who may claim, or who is not there yet.
func (c Claim) of(r *Records) (*Person, error) {
	if c.Made == nil {
		return c.may(r)
	}
	if r.People[c.Subject] != nil {
		return nil, ErrClaimBehind
	}
	return &Person{Person: directory.Person{UID: c.Subject, Profile: idp.Unverified, Name: directory.Name(c.Made.Name), Email: c.Made.Email}}, nil
}
