package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/redis"
)

// secrets writes one of everything and looks through all that Redis holds.
func secrets(t *testing.T, rdb goredis.UniversalClient, s *redis.Store) {
	ctx, now := t.Context(), time.Now()
	code := "family-abcd" + strings.Repeat("C", 43)
	token := "family-abcd" + strings.Repeat("T", 43)
	for _, err := range []error{
		s.SaveCode(ctx, code, idp.Grant{Family: "family-abcd", ClientID: "c", SessionKey: idp.Hash("cookie-secret"), AuthTime: now}, now.Add(time.Minute)),
		s.Open(ctx, smartcard.Transaction{ID: "tx", Login: "l1", Expires: now.Add(time.Minute)}, now.Add(time.Minute)),
		s.Open(ctx, smartcard.Transaction{ID: "signed", Login: "l2", Expires: now.Add(time.Minute)}, now.Add(time.Minute)),
		s.Attempt(ctx, idp.LimitKey{Account: "uid-of-somebody", Authenticator: "totp"}, idp.GuessLimit, now),
		s.Questions("passkey").Ask(ctx, "question-name", []byte("what was asked"), now.Add(time.Minute)),
		s.Depart(ctx, "uid-of-somebody", "card:01"),
		s.SaveSession(ctx, idp.Session{Key: idp.Hash("cookie-secret"), Subject: "s", AuthTime: now, LastAct: now}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	desk := smartcard.Caller{Transaction: "signed", KeyThumbprint: "epk", Once: "the-jti"}
	t1, err1 := s.Redeem(ctx, "signed", smartcard.Agent{KeyThumbprint: "epk"}, now)
	_, err2 := s.Report(ctx, desk, smartcard.Report{Doing: smartcard.WaitCard}, now)
	_, err3 := s.Answer(ctx, desk, now)
	err4 := s.Settle(ctx, t1, "completion-code", authenticators.Evidence{}, now.Add(time.Minute))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RedeemCode(ctx, idp.Redemption{Code: code, ClientID: "c", Next: idp.Issued{Access: token}}, now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	keys := rdb.Keys(ctx, "*").Val()
	if len(keys) != 13 {
		t.Errorf("%d keys, want 13: %v", len(keys), keys)
	}
	for _, key := range keys {
		held := key + rdb.Get(ctx, key).Val()
		for field, value := range rdb.HGetAll(ctx, key).Val() {
			held += field + value
		}
		for _, secret := range []string{code, token, "completion-code", "the-jti", "cookie-secret", "question-name", "uid-of-somebody"} {
			if strings.Contains(held, secret) {
				t.Errorf("%s holds the secret %s", key, secret)
			}
		}
		if rdb.TTL(ctx, key).Val() <= 0 {
			t.Errorf("%s never ends", key)
		}
	}
}
