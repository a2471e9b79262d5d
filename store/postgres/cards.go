package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// CardByCertificate implements smartcard.Cards.
func (s *Store) CardByCertificate(ctx context.Context, issuer, serial string) (smartcard.Card, error) {
	if !isText(issuer) || !isText(serial) {
		return smartcard.Card{}, smartcard.ErrNotRegistered
	}
	return s.cards.get(ctx, issuer+" "+serial)
}

// loadCard asks PostgreSQL for a card. Its name is what the schema notifies.
func (s *Store) loadCard(ctx context.Context, name string) (smartcard.Card, error) {
	issuer, serial, _ := strings.Cut(name, " ")
	c := smartcard.Card{Serial: serial}
	err := s.pool.QueryRow(ctx, "SELECT series, state, uid FROM cards WHERE issuer = $1 AND serial = $2 AND registered", issuer, serial).
		Scan(&c.Series, &c.State, &c.Holder)
	if errors.Is(err, pgx.ErrNoRows) {
		return smartcard.Card{}, smartcard.ErrNotRegistered
	}
	if err != nil {
		return smartcard.Card{}, fmt.Errorf("card %s: %w", name, err)
	}
	return c, nil
}

var _ registry.CardLedger = (*Store)(nil)

// CardStanding implements registry.CardLedger.
func (s *Store) CardStanding(ctx context.Context, issuer, serial string) (registry.CardStanding, error) {
	if !isText(issuer) || !isText(serial) {
		return registry.CardStanding{}, registry.ErrNoCard
	}
	c := registry.CardStanding{Serial: serial}
	var since *time.Time
	err := s.pool.QueryRow(ctx, "SELECT state = 'revoked', revoked_at FROM cards WHERE issuer = $1 AND serial = $2 AND registered", issuer, serial).
		Scan(&c.Revoked, &since)
	if errors.Is(err, pgx.ErrNoRows) {
		return registry.CardStanding{}, registry.ErrNoCard
	}
	if err != nil {
		return registry.CardStanding{}, behind(fmt.Errorf("card %s: %w", serial, err))
	}
	c.RevokedAt = zero(since)
	return c, nil
}

// RevokedCards implements registry.CardLedger.
func (s *Store) RevokedCards(ctx context.Context, issuer string, day idp.Date) ([]registry.CardStanding, error) {
	rows, err := s.pool.Query(ctx, `SELECT serial, revoked_at FROM cards
		WHERE issuer = $1 AND state = 'revoked' AND registered AND (ends_on IS NULL OR ends_on >= $2::text::date) ORDER BY serial`, issuer, string(day))
	if err == nil {
		var all []registry.CardStanding
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (registry.CardStanding, error) {
			c := registry.CardStanding{Revoked: true}
			var since *time.Time
			err := row.Scan(&c.Serial, &since)
			c.RevokedAt = zero(since)
			return c, err
		})
		if err == nil {
			return all, nil
		}
	}
	return nil, behind(fmt.Errorf("revoked cards: %w", err))
}

// policy is what is neither a person nor a client.
type policy struct {
	warnDays []int
	blocked  map[int]time.Time                // the midnight in London from which on a series is refused
	agents   map[string][]smartcard.AgentRule // by product
	apart    []int                            // the series that the gateway of the old service does not take
}

// loadPolicy asks PostgreSQL for the policy. There is one, without a name.
func (s *Store) loadPolicy(ctx context.Context, _ string) (policy, error) {
	var (
		p      policy
		series map[int]idp.Date // of several days the earliest counts
		agents []struct {
			Product, Excepted, Below string
			From                     idp.Date
		}
	)
	err := s.pool.QueryRow(ctx, `SELECT (SELECT warn_days FROM policy),
		(SELECT json_object_agg(series, first_day) FROM
			(SELECT series, min(blocked_from) AS first_day FROM card_series WHERE blocked_from IS NOT NULL GROUP BY series) AS blocked),
		(SELECT coalesce(json_agg(json_build_object('product', product, 'excepted', excepted, 'below', below, 'from', blocked_from) ORDER BY place), '[]')
			FROM agent_rules WHERE blocked_from IS NOT NULL),
		(SELECT coalesce(array_agg(DISTINCT series), '{}') FROM card_series WHERE NOT legacy_gateway)`).
		Scan(&p.warnDays, &series, &agents, &p.apart)
	if err != nil {
		return policy{}, fmt.Errorf("policy: %w", err)
	}
	p.blocked = make(map[int]time.Time, len(series))
	for number, day := range series {
		if p.blocked[number], err = day.Begins(); err != nil {
			return policy{}, fmt.Errorf("series %d: %w", number, err)
		}
	}
	p.agents = make(map[string][]smartcard.AgentRule)
	for _, rule := range agents {
		from, err := rule.From.Begins()
		if err != nil {
			return policy{}, fmt.Errorf("agent %s: %w", rule.Product, err)
		}
		p.agents[rule.Product] = append(p.agents[rule.Product], smartcard.AgentRule{Except: rule.Excepted, Below: rule.Below, From: from})
	}
	return p, nil
}

// AgentRules implements smartcard.Rules.
func (s *Store) AgentRules(ctx context.Context, product string) ([]smartcard.AgentRule, error) {
	p, err := s.policy.get(ctx, onlyPolicy)
	return p.agents[product], err
}

// BlockedFrom implements smartcard.Rules.
func (s *Store) BlockedFrom(ctx context.Context, series int) (from time.Time, ok bool, err error) {
	p, err := s.policy.get(ctx, onlyPolicy)
	if err != nil {
		return time.Time{}, false, err
	}
	from, ok = p.blocked[series]
	return from, ok, nil
}

// AtGateway implements smartcard.GatewayRules.
func (s *Store) AtGateway(ctx context.Context, series int) (bool, error) {
	p, err := s.policy.get(ctx, onlyPolicy)
	return err == nil && !slices.Contains(p.apart, series), err
}
