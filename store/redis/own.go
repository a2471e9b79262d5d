package redis

import (
	"context"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// SessionsOf implements idp.OwnSessions.
func (s *Store) SessionsOf(ctx context.Context, uid string, now time.Time) ([]idp.OwnSession, error) {
	return nil, nil
}
