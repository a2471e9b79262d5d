package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// aRefresh is a refresh token of a family, by a number.
func aRefresh(n int) string { return fmt.Sprintf("%s%043d", aFamily, n) }

// aRotation shows refresh token n, to get the one after.
func aRotation(n int) idp.Rotation {
	return idp.Rotation{Refresh: aRefresh(n), ClientID: "demo-rp", Next: idp.Issued{Access: aFamily + strings.Repeat("a", 40) + fmt.Sprintf("%03d", n), Refresh: aRefresh(n + 1)},
		Box: "box of " + strconv.Itoa(n)}
}

// refreshes checks the part of a store that refreshes. save makes a store with
// a code.
func refreshes(t *testing.T, save func(*testing.T, time.Time) CodeStore) {
	now := time.Now()
	open := func(t *testing.T) CodeStore {
		t.Helper()
		s, r := save(t, now), aRedemption()
		r.Next.Refresh = aRefresh(1)
		if _, err := s.RedeemCode(t.Context(), r, now, now.Add(idp.TokenLife)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	rotate := func(t *testing.T, s CodeStore, r idp.Rotation, at time.Time, box string, want error) idp.Grant {
		t.Helper()
		g, got, err := s.Rotate(t.Context(), r, at, at.Add(idp.TokenLife))
		if !errors.Is(err, want) || got != box {
			t.Errorf("Rotate = %q, %v; want %q, %v", got, err, box, want)
		}
		return g
	}
	t.Run("P8: a refresh token gives the next one, and the old access token lives on", func(t *testing.T) {
		s := open(t)
		if g := rotate(t, s, aRotation(1), now, "box of 1", nil); !reflect.DeepEqual(g, aGrant()) {
			t.Errorf("Rotate = %+v, want %+v", g, aGrant())
		}
		rotate(t, s, aRotation(2), now, "box of 2", nil)
		for _, token := range []string{aToken, aRotation(1).Next.Access, aRotation(2).Next.Access} {
			if got, err := s.Token(t.Context(), token, now); err != nil || got.Refresh || !reflect.DeepEqual(got.Grant, aGrant()) {
				t.Errorf("Token(%s) = %+v, %v", token, got, err)
			}
		}
		if got, err := s.Token(t.Context(), aRefresh(3), now); err != nil || !got.Refresh || !got.Expires.Equal(now.Add(idp.RefreshLife).Truncate(time.Millisecond)) {
			t.Errorf("Token of the refresh token = %+v, %v", got, err)
		}
		wantNoToken(t, s, aRefresh(2), now)
	})
	t.Run("P8: of many refreshes at once one is made, and all get its box", func(t *testing.T) {
		s := open(t)
		boxes := make(chan string, 100)
		atOnce(func(n int) bool {
			r := aRotation(1)
			r.Box, r.Next.Refresh = strconv.Itoa(n), aRefresh(100+n)
			_, box, err := s.Rotate(t.Context(), r, now, now.Add(idp.TokenLife))
			if err != nil {
				t.Error(err)
			}
			boxes <- box
			return false
		})
		close(boxes)
		first := <-boxes
		for box := range boxes {
			if box != first {
				t.Errorf("one got box %s and another %s", first, box)
			}
		}
	})
	t.Run("P8: after the grace a second use ends the family", func(t *testing.T) {
		s := open(t)
		rotate(t, s, aRotation(1), now, "box of 1", nil)
		rotate(t, s, aRotation(1), now.Add(idp.RefreshGrace), "box of 1", nil)
		wantNoToken(t, s, aRotation(9).Next.Access, now)
		for _, token := range []string{aRefresh(7), aRefresh(1)} { // of one that is not the last nothing is noted
			if err := s.Got(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		rotate(t, s, aRotation(1), now.Add(idp.RefreshGrace+time.Second), "", idp.ErrUsed)
		rotate(t, s, aRotation(2), now, "", idp.ErrRefresh)
		wantNoToken(t, s, aToken, now)
		wantNoToken(t, s, aRefresh(2), now)
	})
	t.Run("F12: after the grace the last that was used is rotated anew, if nobody is known to have got what was made for it", func(t *testing.T) {
		s, later := open(t), now
		rotate(t, s, aRotation(1), later, "box of 1", nil)
		for _, n := range []int{20, 30} {
			later = later.Add(idp.RefreshGrace + time.Second)
			anew := aRotation(n)
			anew.Refresh = aRefresh(1)
			if err := s.Got(t.Context(), aRefresh(2)); err != nil { // which was not used
				t.Fatal(err)
			}
			rotate(t, s, anew, later, anew.Box, nil)
			wantNoToken(t, s, aRefresh(2), later)
		}
		rotate(t, s, aRotation(2), later, "", idp.ErrRefresh) // nobody was given that one
		rotate(t, s, aRotation(31), later, "box of 31", nil)
		rotate(t, s, aRotation(1), later, "", idp.ErrUsed)
	})
	t.Run("P8: once its successor was used there is no grace", func(t *testing.T) {
		s := open(t)
		rotate(t, s, aRotation(1), now, "box of 1", nil)
		rotate(t, s, aRotation(2), now, "box of 2", nil)
		if g := rotate(t, s, aRotation(1), now, "", idp.ErrUsed); g.Family != aFamily {
			t.Errorf("the grant is %+v", g)
		}
	})
	t.Run("P8: another client, rubbish, an access token or a code refreshes nothing and ends nothing", func(t *testing.T) {
		s := open(t)
		other := aRotation(1)
		other.ClientID = "other"
		rotate(t, s, other, now, "", idp.ErrRefresh)
		for _, shown := range []string{"", "x", aRefresh(7), aToken, aCode, aFamily, "fam}{y-abcd" + strings.Repeat("t", 43)} {
			r := aRotation(1)
			r.Refresh = shown
			rotate(t, s, r, now, "", idp.ErrRefresh)
		}
		rotate(t, s, aRotation(1), now, "box of 1", nil)
	})
	t.Run("P8: a refresh token ends for good, however often it was renewed", func(t *testing.T) {
		s := open(t)
		rotate(t, s, aRotation(1), now.Add(idp.RefreshLife-time.Second), "box of 1", nil)
		rotate(t, s, aRotation(2), now.Add(idp.RefreshLife), "", idp.ErrRefresh)
	})
	t.Run("RFC 6749 §6: a client may ask for fewer scopes and no more, gets no claims beside them, and has all again at the next refresh", func(t *testing.T) {
		s := save(t, now)
		g, r := aGrant(), aRedemption()
		g.Scopes, g.Asked = []string{"openid", "profile", "email"}, idp.Asked{UserInfo: []string{"name"}, IDToken: []string{"email"}}
		r.Next.Refresh, r.Code = aRefresh(1), aFamily+strings.Repeat("d", 43)
		if err := s.SaveCode(t.Context(), r.Code, g, now.Add(idp.CodeLife)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RedeemCode(t.Context(), r, now, now.Add(idp.TokenLife)); err != nil {
			t.Fatal(err)
		}
		more := aRotation(1)
		more.Scopes = []string{"openid", "nhsperson"}
		rotate(t, s, more, now, "", idp.ErrScope)
		fewer := aRotation(1)
		fewer.Scopes = []string{"openid", "email"}
		for range 2 { // within the grace the same again
			if got := rotate(t, s, fewer, now, "box of 1", nil); !reflect.DeepEqual(got.Scopes, fewer.Scopes) || got.Asked.UserInfo != nil || got.Asked.IDToken != nil || got.Subject != g.Subject || !got.AuthTime.Equal(g.AuthTime) {
				t.Errorf("the grant is %+v", got)
			}
		}
		if got, err := s.Token(t.Context(), fewer.Next.Access, now); err != nil || !reflect.DeepEqual(got.Grant.Scopes, fewer.Scopes) {
			t.Errorf("Token = %+v, %v", got, err)
		}
		if got := rotate(t, s, aRotation(2), now, "box of 2", nil); !reflect.DeepEqual(got.Scopes, g.Scopes) || !reflect.DeepEqual(got.Asked, g.Asked) {
			t.Errorf("the grant is %+v", got)
		}
	})
	t.Run("RFC 6749 §6: a client that asks for no scope by its name has all that it had", func(t *testing.T) {
		s, none := open(t), aRotation(1)
		none.Scopes = []string{} // as a blank parameter is read
		for range 2 {
			if got := rotate(t, s, none, now, "box of 1", nil); !reflect.DeepEqual(got, aGrant()) {
				t.Errorf("Rotate = %+v, want %+v", got, aGrant())
			}
		}
	})
	t.Run("own rule: a refresh token that was used is known as long as its family lives", func(t *testing.T) {
		s := open(t)
		want := func(refresh string, at time.Time, want error) {
			t.Helper()
			if g, err := s.Rotated(t.Context(), refresh, at); !errors.Is(err, want) || want == nil && !reflect.DeepEqual(g, aGrant()) {
				t.Errorf("Rotated = %+v, %v; want %v", g, err, want)
			}
		}
		first := aRotation(1).Refresh
		want(first, now, idp.ErrToken)
		rotate(t, s, aRotation(1), now, "box of 1", nil)
		want(first, now.Add(time.Hour), nil)
		want(aRotation(1).Next.Refresh, now, idp.ErrToken)
		want("no token", now, idp.ErrToken)
		want(first, now.Add(idp.RefreshLife), idp.ErrToken)
		end(t, s, now)
		want(first, now, idp.ErrToken)
	})
	t.Run("own rule: who may not refresh has no refresh token", func(t *testing.T) {
		s := save(t, now)
		redeemed(t, s, now)
		rotate(t, s, aRotation(1), now, "", idp.ErrRefresh)
	})
	t.Run("own rule: what a family began with is known where its client refreshes or exchanges, until it ends", func(t *testing.T) {
		for name, change := range map[string]func(*idp.Redemption){
			"refreshes": func(r *idp.Redemption) { r.Next.Refresh = aRefresh(1) },
			"exchanges": func(r *idp.Redemption) { r.Exchanges = true },
			"both":      func(r *idp.Redemption) { r.Next.Refresh, r.Exchanges = aRefresh(1), true },
			"neither":   func(*idp.Redemption) {},
		} {
			s, r := save(t, now), aRedemption()
			change(&r)
			if _, err := s.RedeemCode(t.Context(), r, now, now.Add(idp.TokenLife)); err != nil {
				t.Fatal(err)
			}
			wantOrigin := func(at time.Time, want error) {
				t.Helper()
				if g, err := s.Origin(t.Context(), aFamily, at); !errors.Is(err, want) || want == nil && !reflect.DeepEqual(g, aGrant()) {
					t.Errorf("%s: Origin = %+v, %v; want %v", name, g, err, want)
				}
			}
			if name == "neither" {
				wantOrigin(now, idp.ErrToken)
				continue
			}
			wantOrigin(now.Add(idp.TokenLife-time.Second), nil)
			wantOrigin(now.Add(idp.RefreshLife), idp.ErrToken)
			wantNoToken(t, s, aRefresh(2), now)
			if name == "exchanges" {
				rotate(t, s, aRotation(1), now, "", idp.ErrRefresh)
			}
			end(t, s, now)
			wantOrigin(now, idp.ErrToken)
		}
		for _, family := range []string{"", "x", "fam}{y-abcd"} {
			if _, err := save(t, now).Origin(t.Context(), family, now); !errors.Is(err, idp.ErrToken) {
				t.Errorf("Origin(%q): %v, want ErrToken", family, err)
			}
		}
	})
	t.Run("own rule: a token that is saved stands for its grant until it ends", func(t *testing.T) {
		s, own := open(t), idp.Grant{Family: "family-zzz", ClientID: "machine"}
		token := "family-zzzz" + strings.Repeat("t", 43)
		if err := s.SaveToken(t.Context(), token, own, now.Add(idp.TokenLife)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Token(t.Context(), token, now); err != nil || !reflect.DeepEqual(got.Grant, own) {
			t.Errorf("Token = %+v, %v", got, err)
		}
		wantNoToken(t, s, token, now.Add(idp.TokenLife))
	})
}
