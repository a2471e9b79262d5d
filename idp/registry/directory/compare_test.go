package directory

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// aTown is a directory of so many people, each with a position and a card.
func aTown(people int) Document {
	d := Document{Organisations: []Organisation{{Code: "A1", Name: "Surgery"}},
		Clients: []Client{{ID: "app", SecretHash: SecretHash(idp.HashSecret("hush")), AuthMethod: idp.SecretBasic}}}
	for i := range people {
		n := fmt.Sprintf("%012d", i)
		d.People = append(d.People, Person{UID: n, Name: Name{Given: "Given", Family: n}, NINumber: "AB123456C", Profile: idp.Verified,
			Positions: []Position{{ID: "p" + n, Organisation: "A1", RoleCode: "R8000", Activities: []Coded{{Code: "B1"}}}},
			Cards:     []Card{{Serial: fmt.Sprintf("%X", i+1), Series: 9, State: "active", Registered: true, Passcode: "123456"}}})
	}
	return d
}

func everything(Key) bool { return true }
func nothing(Key) bool    { return false }

func written1(ds []Difference) string {
	var lines []string
	for _, d := range ds {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %q %q", d.Op, d.Kind, d.ID, d.Key, d.Was, d.Is)))
	}
	return strings.Join(lines, "\n")
}

func TestPlan(t *testing.T) {
	t.Run("own rule: what differs is told key by key, in an order of its own, without secrets", func(t *testing.T) {
		have, want := aTown(3), aTown(3)
		slices.Reverse(want.People)
		want.People[2].Name.Family = "New"
		want.People[2].NINumber = "CD123456C"
		want.People[2].Positions[0].Activities = append(want.People[2].Positions[0].Activities, Coded{"B2", "Two"})
		want.People[1].Positions = append(want.People[1].Positions, Position{ID: "new", Organisation: "A1", RoleCode: "R1"})
		want.Clients[0].SecretHash = "sha256:other"
		want.Organisations = append(want.Organisations, Organisation{Code: "A0"})
		got := written1(Plan(have, want, nothing))
		if want := `add organisation A0  "" ""
change person 000000000000 name.family "000000000000" "New"
change person 000000000000 ni_number "[hidden]" "[hidden]"
change position p000000000000 activities "code B1" "code B1, code B2 name Two"
add position new  "" ""
change client app secret_hash "[hidden]" "[hidden]"`; got != want {
			t.Errorf("plan:\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("own rule: what a document does not have is removed only if one had it", func(t *testing.T) {
		have := aTown(1)
		if got := Plan(have, Document{}, nothing); len(got) > 0 {
			t.Errorf("unmanaged: %s", written1(got))
		}
		if got := written1(Plan(have, Document{}, everything)); got != "remove organisation A1  \"\" \"\"\nremove person 000000000000  \"\" \"\"\nremove client app  \"\" \"\"" {
			t.Errorf("managed:\n%s", got)
		}
	})
	t.Run("own rule: people's own authenticators and what was stopped stay", func(t *testing.T) {
		have, want := aTown(1), aTown(1)
		p := &have.People[0]
		p.Authenticators = []Authenticator{{ID: "own", Kind: authenticators.KeyKind, State: authenticators.Suspended, Record: "{}"}}
		p.Cards[0].State, p.Cards[0].TriesLeft, p.Profile, p.Positions[0].To = "revoked", 1, idp.Restricted, "2030-01-01"
		want.People[0].Authenticators = []Authenticator{{ID: "own", State: authenticators.Active}, {ID: "without record"}}
		if got := Plan(have, want, everything); len(got) > 0 {
			t.Errorf("plan:\n%s", written1(got))
		}
		kept := Keep(have.People[0], want.People[0], everything)
		if !reflect.DeepEqual(kept, have.People[0]) {
			t.Errorf("kept %+v", kept)
		}
	})
	t.Run("own rule: a plan of 10,000 people takes no longer than reading it", func(t *testing.T) {
		have, want := aTown(10_000), aTown(10_000)
		begun := time.Now()
		if got := Plan(have, want, everything); len(got) > 0 {
			t.Errorf("%d differences", len(got))
		}
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
