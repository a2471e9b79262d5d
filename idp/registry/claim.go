package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// Refusals of somebody who claims a way to sign in.
const (
	ErrClaimGone   idp.Refusal = "the claim was not begun in this browser, or too long ago, or is not that far"
	ErrNotAlone    idp.Refusal = "the person has not said that they alone control it"
	ErrClaimBehind idp.Refusal = "what the person holds has changed since the claim was begun"
)

// ClaimLife is how long each of the two halves of a claim may take: until the
// code is shown, and from then on.
const ClaimLife = 15 * time.Minute

// What claims cost. Each is counted before it is judged, for where it comes
// from, for the address, and for the profile: the last one in silence, since it
// would tell whose profile there is.
var (
	claimNetwork = idp.Limit{Free: 30, First: time.Second, Longest: 5 * time.Minute, Life: time.Hour}
	claimProfile = idp.Limit{Free: 5, First: 10 * time.Minute, Longest: time.Hour, Life: 24 * time.Hour}
)

// claimCode is the purpose of the codes by mail.
const claimCode = "claim"

// Insured compares National Insurance numbers with those on file.
type Insured interface {
	// HasNINumber says whether number is that of the person, with the same work
	// whether there is such a person and whether they have one. Both are as they
	// are written: capital letters and digits.
	HasNINumber(ctx context.Context, uid, number string) (bool, error)
}

// Half keeps what people are half-way through.
type Half interface {
	authenticators.Questions

	// Look is Take that leaves what there is.
	Look(ctx context.Context, name string, now time.Time) ([]byte, error)
}

// Claims lets people whose identity was verified add a way to sign in without
// anybody's help: with their e-mail address, their National Insurance number
// and a code that is sent to that address. What they add is worth AAL2 at most,
// and takes the place of nothing.
//
// A claim belongs to one browser. Until the code is shown, one for somebody who
// may not claim, or who does not exist, goes exactly as any other: the same
// calls, the same answers, and a code that nobody was sent.
type Claims struct {
	Contacts idp.Contacts
	Insured  Insured
	Keeper   Keeper
	Mailed   *idp.MailCodes
	Half     Half
	Limits   idp.Limits
	Puzzles  *idp.Puzzles
	Now      func() time.Time
}

// Claimed is what somebody says to begin a claim.
type Claimed struct {
	Email, Number  string
	Puzzle, Answer string
	Network        netip.Prefix
	Browser        string // hash of its secret, which is another with each claim
	Lang           string // of the mail
}

// Claim is a claim under way.
type Claim struct {
	Subject string              `json:"subject"` // uid; of nobody a name for the address
	Email   string              `json:"email"`   // key of the address
	Matched bool                `json:"matched"` // what they said is so
	Proved  bool                `json:"proved"`  // they showed the code
	Held    []string            `json:"held"`    // the ids of what they held then
	Way     authenticators.Kind `json:"way"`     // what they chose to add, and said that they alone control
	Away    string              `json:"away"`    // the question with which they were sent to their organisation
	Made    *Made               `json:"made"`    // the profile that is to be made; nil: there is one
	Until   time.Time           `json:"until"`
}

// Begin begins a claim. It is nil whether there is such a profile or not.
func (s *Claims) Begin(ctx context.Context, said Claimed) error {
	key := idp.EmailKey(said.Email)
	if len(key) > longestEmail {
		key = "too long"
	}
	if err := s.arrive(ctx, key, said); err != nil {
		return err
	}
	p, matched, err := s.match(ctx, key, said.Number)
	if err != nil {
		return err
	}
	if err := s.send(ctx, p, matched, said); err != nil {
		return err
	}
	return s.keep(ctx, said.Browser, Claim{Subject: p.UID, Email: key, Matched: matched})
}

// arrive lets somebody begin who has solved a puzzle and does not come too often.
func (s *Claims) arrive(ctx context.Context, key string, said Claimed) error {
	if err := s.Puzzles.Spend(ctx, said.Puzzle, said.Answer); err != nil {
		return err
	}
	if err := s.Limits.Attempt(ctx, networkKey(said.Network), claimNetwork, s.Now()); err != nil {
		return fmt.Errorf("claims from a network: %w", err)
	}
	if err := s.Limits.Attempt(ctx, addressKey(key), idp.MailLimit, s.Now()); err != nil {
		return fmt.Errorf("claims of an address: %w", err)
	}
	return nil
}

// longestEmail bounds an address. RFC 5321 §4.5.3.1.3.
const longestEmail = 254

func networkKey(n netip.Prefix) idp.LimitKey {
	return idp.LimitKey{Authenticator: "claim", Network: n}
}

func profileKey(uid string) idp.LimitKey {
	return idp.LimitKey{Account: uid, Authenticator: "claim"}
}

func addressKey(key string) idp.LimitKey {
	return idp.LimitKey{Account: "address " + idp.Hash(key), Authenticator: "claim"}
}

// match returns the person whose address that is, and whether they may claim
// and number is theirs. Of nobody it returns one with a name that stands for the
// address. All is asked, whatever the answers are.
func (s *Claims) match(ctx context.Context, key, number string) (idp.Contact, bool, error) {
	p, err := s.Contacts.PersonByEmail(ctx, key)
	if errors.Is(err, idp.ErrNotFound) {
		p, err = idp.Contact{UID: "nobody " + idp.Hash(key)}, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("person by e-mail: %w", err)
	}
	tried := s.Limits.Attempt(ctx, profileKey(p.UID), claimProfile, s.Now())
	if tried != nil && !errors.Is(tried, idp.ErrLimited) {
		return p, false, fmt.Errorf("claim of a profile: %w", tried)
	}
	theirs, err := s.Insured.HasNINumber(ctx, p.UID, spellNumber(number))
	if err != nil {
		return p, false, fmt.Errorf("number of %s: %w", p.UID, err)
	}
	return p, tried == nil && theirs && p.Profile == idp.Verified && !p.Robot && p.Email != "", nil
}

// send sends the code, or does what that costs. That no more mails go to that
// person for now is told to nobody: only who they are would be told by it.
func (s *Claims) send(ctx context.Context, p idp.Contact, matched bool, said Claimed) error {
	purpose := claimCode + " " + said.Browser
	var err error
	if matched {
		err = s.Mailed.Send(ctx, purpose, p.UID, p.Email, said.Lang)
	} else {
		err = s.Mailed.Pretend(ctx, purpose, p.UID, said.Email, said.Lang)
	}
	if err != nil && !errors.Is(err, idp.ErrLimited) {
		return fmt.Errorf("send the code of a claim: %w", err)
	}
	return nil
}

// spellNumber returns a National Insurance number as it is kept, however
// somebody typed it.
func spellNumber(number string) string {
	if len(number) > 32 {
		return ""
	}
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\t", "").Replace(number))
}

func (s *Claims) keep(ctx context.Context, browser string, c Claim) error {
	if c.Until.IsZero() {
		c.Until = s.Now().Add(ClaimLife)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write claim: %w", err)
	}
	if err := s.Half.Ask(ctx, browser, b, c.Until); err != nil {
		return fmt.Errorf("keep claim: %w", err)
	}
	return nil
}

// Find returns the claim of a browser, or ErrClaimGone.
func (s *Claims) Find(ctx context.Context, browser string) (Claim, error) {
	b, err := s.Half.Look(ctx, browser, s.Now())
	return readClaim(b, err)
}

func readClaim(b []byte, err error) (c Claim, _ error) {
	if errors.Is(err, authenticators.ErrAnswer) {
		return c, ErrClaimGone
	}
	if err != nil {
		return c, fmt.Errorf("claim: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return Claim{}, fmt.Errorf("read claim: %w", err)
	}
	return c, nil
}

// proved is Find for what comes after the code.
func (s *Claims) proved(ctx context.Context, browser string) (Claim, error) {
	c, err := s.Find(ctx, browser)
	if err == nil && (!c.Proved || !c.Matched) {
		err = ErrClaimGone
	}
	return c, err
}

// Prove takes the code that came by mail. Whatever is wrong until then is
// idp.ErrMailCode.
func (s *Claims) Prove(ctx context.Context, browser, code string) error {
	c, err := s.Find(ctx, browser)
	if err != nil {
		return err
	}
	return s.Mailed.Check(ctx, claimCode+" "+browser, c.Subject, code, func(address string) error {
		r, err := s.Keeper.Records(ctx, Touch{People: []string{c.Subject}})
		if err != nil {
			return fmt.Errorf("who claims: %w", err)
		}
		p, err := c.of(&r)
		if err != nil {
			return err
		}
		if !c.Matched || idp.EmailKey(address) != idp.EmailKey(p.Email) {
			return idp.ErrMailCode
		}
		c.Proved, c.Held, c.Until = true, idsOf(p), time.Time{}
		return s.keep(ctx, browser, c)
	})
}

// forget forgets what was counted of a claim by which something was bound. What
// comes from the network stays counted, and all of who makes a profile: with a
// mailbox of their own they would go on mailing strangers without end.
func (s *Claims) forget(ctx context.Context, c Claim) {
	if c.Made != nil {
		return
	}
	// Something is bound, whatever this comes to: the counts run out by themselves.
	_ = s.Mailed.Forget(ctx, claimCode, c.Subject)
	_ = s.Limits.Clear(ctx, addressKey(c.Email))
	_ = s.Limits.Clear(ctx, profileKey(c.Subject))
}

// may returns whom a claim is of, if they may claim as things are at this
// instant.
func (c Claim) may(r *Records) (*Person, error) {
	p, err := r.person(c.Subject)
	if err != nil {
		return nil, err
	}
	if p.Robot.Owner != "" {
		return nil, ErrRobot
	}
	if err := p.fit(); err != nil {
		return nil, err
	}
	if len(p.Authenticators) >= maxAuthenticators {
		return nil, ErrMany
	}
	if idp.EmailKey(p.Email) != c.Email {
		return nil, ErrClaimBehind
	}
	return p, nil
}

// idsOf names what a person holds beside their cards.
func idsOf(p *Person) []string {
	ids := []string{}
	for _, a := range p.Authenticators {
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	return ids
}
