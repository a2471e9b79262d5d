package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/gateway"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// report is how an agent that waits stands. There is no name in it.
type report struct {
	Version  string    `json:"version"`
	Process  int       `json:"process"`
	Since    time.Time `json:"since"`
	Services []string  `json:"services"` // their issuers
	InHand   int       `json:"in_hand"`  // sign-ins
	Last     *ending   `json:"last,omitempty"`

	OldService *gateway.Standing `json:"old_service,omitempty"` // null: no bridge to it is named
}

// ending is how the last sign-in ended.
type ending struct {
	At time.Time `json:"at"`
	outcome
}

// standing is kept by an agent for as long as it runs, for who asks.
type standing struct {
	now func() time.Time
	old *gateway.Gateway // of the old service; nil: none is used

	mu   sync.Mutex
	says report
}

func newStanding(services []desk.Service, old *gateway.Gateway, now func() time.Time) *standing {
	s := &standing{now: now, old: old, says: report{Version: version, Process: os.Getpid(), Since: now()}}
	for _, service := range services {
		s.says.Services = append(s.says.Services, service.Issuer)
	}
	return s
}

// begins notes that a sign-in is under way. ended is called when it is not.
func (s *standing) begins() (ended func(outcome)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says.InHand++
	return func(o outcome) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.says.InHand--
		if o.Word == "busy" { // the one that is under way is the last
			return
		}
		s.says.Last = &ending{At: s.now(), outcome: o}
	}
}

// line is the report as it is said on the session's socket.
func (s *standing) line() string {
	b, err := json.Marshal(s.report())
	if err != nil {
		return "{}\n" // cannot be: texts, numbers and times
	}
	return string(b) + "\n"
}

func (s *standing) report() report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.says
	if s.old != nil {
		old := s.old.Standing()
		r.OldService = &old
	}
	return r
}

// words say how an agent stands, to its person. No translator has read the
// Welsh yet.
type standingWords struct {
	Status, Close string // the tray's menu

	Waits, Works string
	Services     string // %s their issuers
	OldSince     string // %s the time of day
	OldOut       string
	OldSilent    string
	Last         string // %s the time of day, %s what came of it
	Outcomes     map[string]string
}

var standingIn = map[string]standingWords{
	"en": {
		Status: "Status", Close: "Close",
		Waits:    "Waiting for a sign-in page.",
		Works:    "A sign-in is open.",
		Services: "Sign-in service: %s",
		OldSince: "Old service (CIS1): signed in since %s, until the card is taken out.", OldOut: "Old service (CIS1): not signed in.",
		OldSilent: "Old service (CIS1): it does not answer.",
		Last:      "Last sign-in, %s: %s",
		Outcomes: map[string]string{
			"signed_in":        "signed in.",
			"ended_at_page":    "it ended at the page.",
			"browser_missing":  "your browser did not come back to finish it.",
			"cancelled":        "you stopped signing in.",
			"timeout":          "it was left too long.",
			"card_locked":      "the card is locked.",
			"card_removed":     "the card was removed before it finished.",
			"card_unsupported": "this type of card cannot be used to sign in.",
			"card_busy":        "another program was using the card.",
			"no_readers":       "this computer cannot use card readers.",
			"link_used":        "it was started already, or was left too long.",
			"other_service":    "this computer is not set up for that sign-in page.",
			"unreachable":      "the sign-in service did not answer.",
			"refused":          "the sign-in service said no.",
			"stopped":          "the program was closed.",
			"failed":           "something went wrong.",
		},
	},
	"cy": {
		Status: "Statws", Close: "Cau",
		Waits:    "Yn aros am dudalen fewngofnodi.",
		Works:    "Mae rhywun wrthi'n mewngofnodi.",
		Services: "Gwasanaeth mewngofnodi: %s",
		OldSince: "Yr hen wasanaeth (CIS1): wedi mewngofnodi ers %s, nes i'r cerdyn gael ei dynnu allan.", OldOut: "Yr hen wasanaeth (CIS1): heb fewngofnodi.",
		OldSilent: "Yr hen wasanaeth (CIS1): nid yw'n ateb.",
		Last:      "Mewngofnodi diwethaf, %s: %s",
		Outcomes: map[string]string{
			"signed_in":        "wedi mewngofnodi.",
			"ended_at_page":    "daeth i ben ar y dudalen.",
			"browser_missing":  "ni ddaeth eich porwr yn ôl i'w orffen.",
			"cancelled":        "rhoesoch y gorau i fewngofnodi.",
			"timeout":          "cafodd ei adael yn rhy hir.",
			"card_locked":      "mae'r cerdyn wedi'i gloi.",
			"card_removed":     "cafodd y cerdyn ei dynnu allan cyn gorffen.",
			"card_unsupported": "ni ellir defnyddio'r math hwn o gerdyn i fewngofnodi.",
			"card_busy":        "roedd rhaglen arall yn defnyddio'r cerdyn.",
			"no_readers":       "ni all y cyfrifiadur hwn ddefnyddio darllenwyr cardiau.",
			"link_used":        "roedd wedi'i ddechrau'n barod, neu wedi'i adael yn rhy hir.",
			"other_service":    "nid yw'r cyfrifiadur hwn wedi'i osod ar gyfer y dudalen fewngofnodi honno.",
			"unreachable":      "nid oedd y gwasanaeth mewngofnodi yn ateb.",
			"refused":          "gwrthododd y gwasanaeth mewngofnodi.",
			"stopped":          "cafodd y rhaglen ei chau.",
			"failed":           "aeth rhywbeth o'i le.",
		},
	},
}

func standingWordsIn(language string) standingWords {
	if w, ok := standingIn[language]; ok {
		return w
	}
	return standingIn["en"]
}

// text is the report in words, a line each.
func (r report) text(language string) string {
	w := standingWordsIn(language)
	lines := []string{"Lanyard " + r.Version, w.Waits}
	if r.InHand > 0 {
		lines[1] = w.Works
	}
	for _, issuer := range r.Services {
		lines = append(lines, fmt.Sprintf(w.Services, prompt.Line(issuer, mostSaid)))
	}
	if old := r.OldService; old != nil {
		switch {
		case old.Silent:
			lines = append(lines, w.OldSilent)
		case old.Since.IsZero():
			lines = append(lines, w.OldOut)
		default:
			lines = append(lines, fmt.Sprintf(w.OldSince, old.Since.Local().Format("15:04")))
		}
	}
	if l := r.Last; l != nil {
		said := fmt.Sprintf(w.Last, l.At.Local().Format("15:04"), w.Outcomes[l.Word])
		if l.Code != "" {
			said += " (" + prompt.Name(l.Code) + ")"
		}
		lines = append(lines, said)
	}
	return strings.Join(lines, "\n")
}
