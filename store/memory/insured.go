package memory

import (
	"context"
	"crypto/subtle"

	"github.com/lanyard-id/lanyard/idp/registry"
)

var _ registry.Insured = (*Store)(nil)

// HasNINumber implements registry.Insured.
func (s *Store) HasNINumber(_ context.Context, uid, number string) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	has := ""
	if i, ok := s.people[uid]; ok {
		has = s.doc.People[i].NINumber
	}
	return subtle.ConstantTimeCompare([]byte(has), []byte(number)) == 1 && number != "", nil
}
