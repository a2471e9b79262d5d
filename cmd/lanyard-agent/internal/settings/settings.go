// Package settings is what this computer and its person say about the agent:
// which service may ask for a signature, and how the agent behaves.
//
// What belongs to the computer counts over what belongs to the person: policy,
// then machine, then the command line, then the person's own file, then what an
// older product left behind, then the default. Which service may ask is one
// decision: nobody adds one to those that a higher place names. Everything is
// text under one name, in a file as in a registry, and each value knows where it
// came from.
//
// On Linux they stand in files (files_unix.go), on Windows in the registry
// (registry.go).
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// Settings is what counts.
type Settings struct {
	Services    []desk.Service
	PINTimer    time.Duration // how long the agent may wait for a card and its passcode
	PollReaders bool          // look at the readers again and again, because they do not tell of changes
	Tray        bool
	LogLevel    slog.Level

	said []Said
}

// Rank is what a layer's word is worth: the first counts.
type Rank int

// The ranks.
const (
	Policy Rank = iota
	Machine
	CommandLine
	User
	Former // of an older product
	Default
)

// Value is what a layer says of one setting.
type Value struct {
	Text string
	From string // where, as a person would look for it
}

// Layer is one place where settings stand, by their names. An empty text says
// nothing.
type Layer struct {
	Rank   Rank
	Values map[string]Value
}

// LayerOf asks a place for every setting. A place that holds other things too,
// such as a registry, is made a layer this way.
func LayerOf(rank Rank, look func(name string) Value) Layer {
	l := Layer{Rank: rank, Values: map[string]Value{}}
	for _, k := range All {
		if v := look(k.Name); v.Text != "" {
			l.Values[k.Name] = v
		}
	}
	return l
}

// Said is a setting that counts, with where it came from.
type Said struct {
	Name string `json:"name"`
	Text string `json:"value"`
	From string `json:"from"`
	Rank Rank   `json:"-"`
}

// Setting is one thing that can be set.
type Setting struct {
	Name    string // in files and in the registry
	Default string
	Help    string

	take func(*Settings, string) error
	near func(string) string // the nearest that is taken, for values of an older product
}

// The names that say which service may ask.
const (
	nameIssuer = "Issuer"
	nameOrigin = "Origin"
	nameOthers = "OtherServices"
	nameBridge = "Bridge"
)

// The names that older products have, too.
const (
	nameTimer   = "TimeToShowPinForm"
	namePolling = "UseCardReaderPolling"
)

// developmentIssuer is where a development service is unless it was told
// otherwise.
const developmentIssuer = "http://localhost:8080"

// Bounds of the time for card and passcode. A login lives for 330 seconds, and
// its question for 300.
const (
	leastTimer = 30
	mostTimer  = 300
)

// All is every setting, in the order in which they are shown.
var All = []Setting{
	{Name: nameIssuer, Default: developmentIssuer,
		Help: "the sign-in service, to the letter as its configuration has it"},
	{Name: nameOrigin,
		Help: "where its pages are, such as https://id.example; empty: where the issuer's address says"},
	{Name: nameOthers,
		Help: "more services, parted by commas: an issuer each, and after a space where its pages are if that differs"},
	{Name: nameBridge,
		Help: "the service's bridge to the old one (CIS1), such as https://gas.hospital.example: the card signs in there too; empty: nowhere else"},
	{Name: nameTimer, Default: "300", take: takeTimer, near: nearTimer,
		Help: "seconds that a person has for card and passcode, 30 to 300; the service may give fewer"},
	{Name: namePolling, Default: "false", take: onOff(func(s *Settings) *bool { return &s.PollReaders }), near: nearOnOff,
		Help: "true looks at the card readers twice a second, for those that do not tell of changes (remote desktops)"},
	{Name: "Tray", Default: "true", take: onOff(func(s *Settings) *bool { return &s.Tray }),
		Help: "whether an icon stands in the tray, where the desktop has one"},
	{Name: "LogLevel", Default: "info", take: takeLevel,
		Help: "least level that is logged: debug, info, warn or error"},
}

// Read decides what counts. A value that cannot be read is an error wherever it
// stands: it was meant to do something.
func Read(layers ...Layer) (Settings, error) {
	layers = slices.Clone(layers)
	slices.SortStableFunc(layers, func(a, b Layer) int { return cmp.Compare(a.Rank, b.Rank) })
	var s Settings
	var problems []error
	for _, l := range layers {
		problems = append(problems, unreadable(l)...)
	}
	chosen, err := services(&s, layers)
	problems = append(problems, err)
	for _, k := range All {
		if k.take == nil {
			s.said = append(s.said, chosen[k.Name])
			continue
		}
		said := counting(k, layers)
		s.said = append(s.said, said)
		if said.Rank == Former {
			said.Text = k.near(said.Text)
			s.said[len(s.said)-1] = said
		}
		_ = k.take(&s, said.Text) // one that cannot be taken has been told
	}
	if err := errors.Join(problems...); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// Said lists every setting that counts, and where it came from.
func (s Settings) Said() []Said { return slices.Clone(s.said) }

// Named returns one setting that counts.
func (s Settings) Named(name string) Said {
	if i := slices.IndexFunc(s.said, func(said Said) bool { return said.Name == name }); i >= 0 {
		return s.said[i]
	}
	return Said{}
}

// Assumed says whether nobody named a service, so that the development service
// of this computer is meant.
func (s Settings) Assumed() bool { return s.NamedBy() == "default" }

// NamedBy is where the services that count are named.
func (s Settings) NamedBy() string {
	for _, name := range []string{nameIssuer, nameOthers} {
		if said := s.Named(name); said.Rank != Default {
			return said.From
		}
	}
	return "default"
}

// counting finds what counts for one setting.
func counting(k Setting, layers []Layer) Said {
	for _, l := range layers {
		v := l.Values[k.Name]
		if v.Text == "" || l.Rank == Former && (k.near == nil || k.near(v.Text) == "") {
			continue
		}
		return Said{Name: k.Name, Text: v.Text, From: v.From, Rank: l.Rank}
	}
	return Said{Name: k.Name, Text: k.Default, From: "default", Rank: Default}
}

// unreadable finds what cannot be taken in a layer. An older product's values
// had other bounds, and what cannot be read there is left alone.
func unreadable(l Layer) []error {
	var problems []error
	if l.Rank == Former {
		return nil
	}
	for _, k := range All {
		v := l.Values[k.Name]
		if v.Text == "" || k.take == nil {
			continue
		}
		if err := k.take(new(Settings), v.Text); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", v.From, k.Name, err))
		}
	}
	return problems
}

func takeTimer(s *Settings, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < leastTimer || n > mostTimer {
		return fmt.Errorf("%.40q: a number of seconds is wanted, from %d to %d", text, leastTimer, mostTimer)
	}
	s.PINTimer = time.Duration(n) * time.Second
	return nil
}

func nearTimer(text string) string {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n <= 0 {
		return ""
	}
	return strconv.Itoa(min(max(n, leastTimer), mostTimer))
}

// onOff takes a switch. Registries write 1 and 0.
func onOff(of func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, text string) error {
		switch nearOnOff(text) {
		case "true":
			*of(s) = true
		case "false":
			*of(s) = false
		default:
			return fmt.Errorf("%.40q: write true or false", text)
		}
		return nil
	}
}

func nearOnOff(text string) string {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "1":
		return "true"
	case "false", "0":
		return "false"
	}
	return ""
}

func takeLevel(s *Settings, text string) error {
	levels := []string{"debug", "info", "warn", "error"}
	if !slices.Contains(levels, text) {
		return fmt.Errorf("%.40q: write one of %s", text, strings.Join(levels, ", "))
	}
	return s.LogLevel.UnmarshalText([]byte(text))
}
