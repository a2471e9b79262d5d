package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// source is where a list comes from and whose it must be.
type source struct {
	address string
	issuer  [sha256.Size]byte // of its key
}

// maxLists is how many lists are remembered: 20 bytes for each revoked
// certificate, so 20 MB for the longest.
const maxLists = 8

// lists remembers lists.
type lists struct {
	mu   sync.Mutex
	kept map[source]*keptList
}

// keptList is a list, and when it was read.
type keptList struct {
	*list
	asked time.Time
}

// askList looks leaf up in the list at address. A list that was read a short
// while ago is not read again.
func (c *Checker) askList(ctx context.Context, address string, leaf, issuer *x509.Certificate) (answer, error) {
	serial, ok := numberOf(leaf.SerialNumber)
	if !ok {
		return answer{}, errors.New("the certificate's serial number is longer than a list can hold")
	}
	from := source{address, sha256.Sum256(issuer.RawSubjectPublicKeyInfo)}
	l := c.lists.fresh(from, c.now())
	if l == nil {
		var err error
		l, err = c.reading.do(ctx, from, func(ctx context.Context) (*keptList, error) {
			if l := c.lists.fresh(from, c.now()); l != nil {
				return l, nil // it came between the look and the leave to read
			}
			return c.readList(ctx, from, issuer)
		})
		if err != nil {
			l = c.lists.usable(from, c.now())
		}
		if l == nil {
			return answer{}, err
		}
	}

	status := Good
	if _, listed := slices.BinarySearchFunc(l.revoked, serial, compare); listed {
		status = Revoked
	}
	return answer{status, l.made, l.until, l.asked}, nil
}

func (c *Checker) readList(ctx context.Context, from source, issuer *x509.Certificate) (*keptList, error) {
	der, err := c.fetch(ctx, http.MethodGet, from.address, "", nil, c.maxList)
	if err != nil {
		return nil, err
	}
	l, err := parseList(der, from.address, issuer, c.now())
	if err != nil {
		return nil, err
	}
	return c.lists.put(from, l, c.now()), nil
}

// fresh returns a list that was read a short while ago, or nil.
func (s *lists) fresh(from source, now time.Time) *keptList { return s.younger(from, listAgain, now) }

// usable returns the list that stands in for a source that is down, or nil.
func (s *lists) usable(from source, now time.Time) *keptList { return s.younger(from, keep, now) }

func (s *lists) younger(from source, age time.Duration, now time.Time) *keptList {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[from]
	if !ok || !now.Before(k.until) || !now.Before(k.asked.Add(age)) {
		return nil
	}
	return k
}

// put remembers l and returns the list that stands: an older one does not take
// the place of a newer one that is not over yet.
func (s *lists) put(from source, l *list, now time.Time) *keptList {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.kept[from]
	if ok && now.Before(before.until) && before.made.After(l.made) {
		l = before.list
	}
	if !ok && len(s.kept) >= maxLists {
		for other := range s.kept {
			delete(s.kept, other)
			break
		}
	}
	if s.kept == nil {
		s.kept = map[source]*keptList{}
	}
	s.kept[from] = &keptList{l, now}
	return s.kept[from]
}
