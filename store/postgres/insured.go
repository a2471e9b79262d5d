package postgres

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp/registry"
)

var _ registry.Insured = (*Store)(nil)

// nobody is whose number is opened where there is none to open.
const nobody = "nobody"

// HasNINumber implements registry.Insured. Of nobody, and of who has no number,
// another one is opened, which is no number: that takes as long. A number that
// cannot be read is nobody's.
func (s *Store) HasNINumber(ctx context.Context, uid, number string) (bool, error) {
	if s.seal == nil {
		return false, errors.New("NI numbers cannot be read without the key they were sealed with")
	}
	if !isText(uid) {
		uid = nobody
	}
	ctx, cancel := within(ctx)
	defer cancel()
	var sealed []byte
	err := s.pool.QueryRow(ctx, "SELECT ni_number FROM people WHERE uid = $1", uid).Scan(&sealed)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, outage(fmt.Errorf("NI number: %w", err))
	}
	there := sealed != nil
	if !there {
		if uid, sealed, err = s.ofNobody(); err != nil {
			return false, err
		}
	}
	has, err := s.unsealNI(uid, sealed)
	if err != nil && there { // TagNumbers tells of it; whoever asks is told what they are told of nobody
		if uid, sealed, err = s.ofNobody(); err == nil {
			_, err = s.unsealNI(uid, sealed)
		}
		has, there = "", false
	}
	if err != nil {
		return false, err
	}
	same := subtle.ConstantTimeCompare([]byte(has), []byte(number)) == 1
	return there && same && number != "", nil
}

// decoy is what stands for the number of nobody, made when it is first wanted.
type decoy struct {
	once   sync.Once
	sealed []byte
	err    error
}

func (s *Store) ofNobody() (uid string, sealed []byte, err error) {
	d := &s.decoy
	d.once.Do(func() { d.sealed, d.err = s.sealNI(nobody, "000000000") })
	return nobody, d.sealed, d.err
}
