package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// The position of a registration authority manager, who may register everybody
// else.
const (
	managerRole     = "R5080"
	managerRoleCode = "S0080:G0450:R5080"
	managerRoleName = `"Admin & Clerical":"Management - A & C":"Registration Authority Manager"`
)

// firstManager is what `lanyard bootstrap` is told.
type firstManager struct {
	uid, directory, organisation, cardIssuer string
}

func bootstrapCommand() *cobra.Command {
	var f firstManager
	cmd := &cobra.Command{
		Use:   "bootstrap UID",
		Short: "Fill an empty registry and make the first registration authority manager",
		Long: "Loads a directory document into a registry that is empty, and makes sure that the person with that uid is in it\n" +
			"and holds the position of a registration authority manager (" + managerRole + "). Everything is loaded or nothing, and\n" +
			"the journal tells of it.\n\n" +
			"The first manager signs in with the card that the document gives them. There is no enrolment link: no page of\n" +
			"this release could enrol anything with it.",
		Args: cobra.ExactArgs(1),
	}
	p := onConfig(cmd)
	cmd.Flags().StringVar(&f.directory, "directory", "", "directory document to load, `file`")
	cmd.Flags().StringVar(&f.organisation, "organisation", "", "`code` of the organisation at which they are the manager; without it, wherever the document says so")
	cmd.Flags().StringVar(&f.cardIssuer, "card-issuer", "", "which authority of smartcard.trust_files issued the document's cards, as `HEX` of the SHA-256 of its public key; without it, the only one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.uid = args[0]
		if f.directory == "" {
			return exit{exitUsage, errors.New("name the directory document with --directory FILE")}
		}
		s, err := p.settle(time.Now)
		if err != nil {
			return err
		}
		doc, err := readDocument(f.directory)
		if err != nil {
			return err
		}
		position, err := f.appoint(&doc, time.Now())
		if err != nil {
			return err
		}
		if err := f.load(cmd.Context(), s, doc, position); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "loaded people=%d clients=%d manager=%s position=%s\n", len(doc.People), len(doc.Clients), f.uid, position)
		return err
	}
	return cmd
}

// load puts doc into the registry. The journal is told first: should it fail
// to be told, nothing has happened, and should the loading fail, it is told of
// that.
func (f firstManager) load(ctx context.Context, s settled, doc directory.Document, position string) error {
	issuer, err := f.issuer(s.trust)
	if err != nil {
		return err
	}
	store, closeStore, err := openProduction(ctx, s, logAt(os.Stderr, slog.LevelWarn), nil)
	if err != nil {
		return err
	}
	defer closeStore()
	e := idp.Event{At: time.Now(), Kind: idp.Bootstrapped, Subject: f.uid, Role: position}
	if err := store.Record(ctx, e); err != nil {
		return ending(err)
	}
	if err := store.Load(ctx, doc, issuer); err != nil {
		e.At, e.Kind, e.Reason = time.Now(), idp.BootstrapNo, "the directory was not loaded"
		return ending(errors.Join(err, store.Record(ctx, e)))
	}
	return nil
}

// appoint makes the person with the uid a manager, if they are not, and
// returns the position.
func (f firstManager) appoint(doc *directory.Document, now time.Time) (string, error) {
	if err := judgeDocument(*doc); err != nil {
		return "", err
	}
	at := slices.IndexFunc(doc.People, func(p directory.Person) bool { return p.UID == f.uid })
	if at < 0 {
		return "", exit{exitNotFound, fmt.Errorf("nobody in the document has the uid %.20q", f.uid)}
	}
	p := &doc.People[at]
	if p.Profile != idp.Verified {
		return "", fmt.Errorf("the profile of %s is %s: a manager's must be verified", f.uid, p.Profile)
	}
	if !slices.ContainsFunc(p.Cards, func(c directory.Card) bool { return c.Registered && c.State == "active" }) {
		return "", fmt.Errorf("%s has no active card in the document, and could not sign in", f.uid)
	}
	today := idp.DateOf(now)
	for _, pos := range p.Positions {
		current := (pos.From == "" || pos.From <= today) && (pos.To == "" || today <= pos.To)
		if current && strings.HasSuffix(":"+pos.RoleCode, ":"+managerRole) && (f.organisation == "" || pos.Organisation == f.organisation) {
			return pos.ID, nil
		}
	}
	if f.organisation == "" {
		return "", fmt.Errorf("%s holds no position %s in the document: say at which organisation they shall, with --organisation CODE", f.uid, managerRole)
	}
	if !slices.ContainsFunc(doc.Organisations, func(o directory.Organisation) bool { return o.Code == f.organisation }) {
		return "", exit{exitNotFound, fmt.Errorf("no organisation in the document has the code %.20q", f.organisation)}
	}
	id, err1 := freeID(*doc)
	orgPerson, err2 := freeID(*doc)
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	p.Positions = append(p.Positions, directory.Position{ID: id, OrgPersonID: orgPerson, Organisation: f.organisation,
		RoleCode: managerRoleCode, RoleName: managerRoleName, From: today})
	return id, nil
}

// judgeDocument refuses what belongs into development alone.
func judgeDocument(doc directory.Document) error {
	var no refusals
	for _, c := range doc.Clients {
		judgeClient(c.IDP(), &no)
	}
	for _, p := range doc.People {
		for _, c := range p.Cards {
			if c.Passcode != "" || c.PUK != "" {
				no.add("card "+c.Serial, "the document holds its passcode or PUK, which are of virtual cards in development", "take them out: nobody but its holder should know a real card's")
			}
		}
	}
	return no.err()
}

// freeID returns twelve digits that no position of the document has.
func freeID(doc directory.Document) (string, error) {
	const least = 100_000_000_000
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(9*least))
		if err != nil {
			return "", fmt.Errorf("make an id: %w", err)
		}
		id := fmt.Sprint(n.Int64() + least)
		taken := slices.ContainsFunc(doc.People, func(p directory.Person) bool {
			return p.UID == id || slices.ContainsFunc(p.Positions, func(pos directory.Position) bool { return pos.ID == id || pos.OrgPersonID == id })
		})
		if !taken {
			return id, nil
		}
	}
}

// issuer is the authority that issued the document's cards.
func (f firstManager) issuer(trust cardTrust) (string, error) {
	if f.cardIssuer != "" {
		for _, c := range trust.authorities {
			if strings.EqualFold(smartcard.IssuerID(c), f.cardIssuer) {
				return smartcard.IssuerID(c), nil
			}
		}
		return "", exit{exitNotFound, errors.New("--card-issuer names no authority of smartcard.trust_files, so its cards would be refused")}
	}
	issuing := trust.issuing()
	if len(issuing) == 1 {
		return smartcard.IssuerID(issuing[0]), nil
	}
	var names []string
	for _, c := range issuing {
		names = append(names, fmt.Sprintf("%s (%s)", smartcard.IssuerID(c), c.Subject))
	}
	return "", exit{exitUsage, fmt.Errorf("several authorities could have issued the document's cards: name one with --card-issuer: %s", strings.Join(names, ", "))}
}
