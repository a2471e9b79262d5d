package idp

import (
	"errors"
	"testing"
	"time"
)

func TestAgain(t *testing.T) {
	v := View{Client: Client{}, Session: signedIn(0), Person: positions("1", "2"), Role: RoleChoice{Role: "1"}, Step: Return}
	login := Login{Wants: []ACR{AAL3Any}, Scopes: []string{"openid", "selectedrole"}, Role: "1"}
	t.Run("own rule: what another tab decided since counts", func(t *testing.T) {
		changed := login
		changed.Role = "2"
		if got, err := v.again(changed, noon); err != nil || got.Role.Role != "2" {
			t.Errorf("again() = %+v, %v; want role 2", got.Role, err)
		}
		changed.Refused = ErrCancelled
		if _, err := v.again(changed, noon); !errors.Is(err, ErrCancelled) {
			t.Errorf("again() of a cancelled login: %v, want ErrCancelled", err)
		}
	})
	t.Run("own rule: a login that is not at its end gives no code", func(t *testing.T) {
		if _, err := v.again(login, noon.Add(15*time.Minute)); !errors.Is(err, ErrLoginGone) {
			t.Errorf("again() after the session's end: %v, want ErrLoginGone", err)
		}
	})
}
