package registry

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
)

// Audience is whom a mail is for: who holds a position today. It is found out
// when the mail is written.
type Audience struct {
	Roles  []string // last codes of roles, such as R5080, of which one is enough; nil: any
	At     []string // codes of organisations, likewise
	Series int      // of a card that they have and that is not revoked; 0: whatever they have
}

// Addressee is one of an audience, at one organisation.
type Addressee struct {
	UID, Email   string
	Organisation string // code
	Name         string // of the organisation
}

// Addresses finds who can be told by mail.
type Addresses interface {
	// Addressees returns who of an audience is verified, no program and has an
	// e-mail address: once for each organisation that is open on that day, in the
	// order of people and of codes, up to most.
	Addressees(ctx context.Context, a Audience, day idp.Date, most int) ([]Addressee, error)
}

const (
	// digestsFrom and digestsUntil are hours in London between which digests are
	// sent. The fence of the day stands for longer than that, so there is one.
	digestsFrom, digestsUntil = 6, 9

	mostReaders = 2000 // of digests
	mostCounted = 1000 // on one list; of more it is said that there are more
	mostPlaces  = 5    // organisations in one digest
)

// Digests tells the registration authority, once a morning, how many are on its
// worklists: numbers and no names, because mails are read by whoever has the
// mailbox.
type Digests struct {
	Service *Service
}

// Digested is what came of a morning.
type Digested struct {
	Told int
	More bool // there are more readers than are told
}

// Morning is the day whose morning it is now, or "" at other times.
func (d *Digests) Morning() idp.Date {
	now := d.Service.Now()
	if h := idp.InLondon(now).Hour(); h < digestsFrom || h >= digestsUntil {
		return ""
	}
	return idp.DateOf(now)
}

// Send puts the digests of a day into the outbox, all of them in one
// transaction. ErrUsed if another server has.
func (d *Digests) Send(ctx context.Context, day idp.Date) (Digested, error) {
	var done Digested
	readers, err := d.Service.Addresses.Addressees(ctx, Audience{Roles: listReaders()}, day, mostReaders+1)
	if err != nil {
		return done, fmt.Errorf("who reads worklists: %w", err)
	}
	if done.More = len(readers) > mostReaders; done.More {
		readers = readers[:mostReaders]
	}
	var mails []idp.Mail
	counted := map[string]map[List]string{}
	for len(readers) > 0 {
		n := slices.IndexFunc(readers, func(r Addressee) bool { return r.UID != readers[0].UID })
		if n < 0 {
			n = len(readers)
		}
		m, err := d.digest(ctx, readers[:min(n, mostPlaces)], counted)
		if err != nil {
			return done, err
		}
		if m.To != "" {
			mails = append(mails, m)
		}
		readers = readers[n:]
	}
	done.Told = len(mails)
	err = d.Service.Keeper.Change(ctx, Touch{}, func(*Records) (idp.Act, error) {
		return idp.Act{
			Event:  idp.Event{At: d.Service.Now(), Kind: idp.DigestsSent, Reason: string(day) + ": " + strconv.Itoa(done.Told)},
			Fences: []idp.Fence{{Kind: idp.DigestFence, Hash: string(day)}},
			Mails:  mails,
		}, nil
	})
	if err != nil {
		return Digested{}, fmt.Errorf("digests of %s: %w", day, err)
	}
	return done, nil
}

// listReaders are the roles whose holders are told: managers and agents.
func listReaders() []string {
	var roles []string
	for _, m := range marks {
		if slices.Contains(agents, m.authority) && !slices.Contains(roles, m.role) {
			roles = append(roles, m.role)
		}
	}
	return roles
}

// digest writes the mail of one person, of whom places has a line for each
// organisation: the numbers of a list stand in the same order. It is to nobody
// where there is nothing to look at.
func (d *Digests) digest(ctx context.Context, places []Addressee, counted map[string]map[List]string) (idp.Mail, error) {
	var names []string
	numbers, some := map[List][]string{}, false
	for _, at := range places {
		counts, err := d.counts(ctx, at.Organisation, counted)
		if err != nil {
			return idp.Mail{}, err
		}
		names = append(names, strings.TrimSpace(at.Name+" ("+at.Organisation+")"))
		for _, l := range Lists {
			numbers[l] = append(numbers[l], counts[l])
			some = some || counts[l] != "0"
		}
	}
	if !some {
		return idp.Mail{}, nil
	}
	m := idp.Mail{To: places[0].Email, Text: "mail.digest", Args: map[string]string{"organisations": strings.Join(names, "; "), "address": d.Service.Address + "/ra"}}
	for l, n := range numbers {
		m.Args[string(l)] = strings.Join(n, "; ")
	}
	return m, nil
}

// counts returns how many are on each list at an organisation and below, and
// remembers it: most organisations have several who are told.
func (d *Digests) counts(ctx context.Context, code string, counted map[string]map[List]string) (map[List]string, error) {
	if counts, ok := counted[code]; ok {
		return counts, nil
	}
	q := Query{At: code, Most: mostCounted}
	if code == d.Service.Policy.Home {
		q.At = "" // it counts as above all
	}
	counts := map[List]string{}
	for _, l := range Lists {
		people, next, err := d.Service.Worklist(ctx, l, q, d.Service.Now())
		if err != nil {
			return nil, fmt.Errorf("count %s at %s: %w", l, code, err)
		}
		counts[l] = strconv.Itoa(len(people))
		if next != "" {
			counts[l] += "+"
		}
	}
	counted[code] = counts
	return counts, nil
}
