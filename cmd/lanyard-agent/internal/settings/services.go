package settings

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// ErrOverruled says that the command line names a service where the computer's
// own settings name one.
var ErrOverruled = errors.New("the sign-in service is named by the settings of this computer")

// maxServices is how many services a computer may know.
const maxServices = 16

// services takes the services from the highest layer that names any, and returns
// what was said of them.
func services(s *Settings, layers []Layer) (map[string]Said, error) {
	names := []string{nameIssuer, nameOrigin, nameOthers, nameBridge}
	from := Layer{Rank: Default, Values: map[string]Value{nameIssuer: {Text: developmentIssuer, From: "default"}}}
	for _, l := range layers {
		if l.Rank != Former && slices.ContainsFunc(names, func(n string) bool { return l.Values[n].Text != "" }) {
			from = l
			break
		}
	}
	var err error
	s.Services, err = listed(from)
	for _, l := range layers {
		if l.Rank == CommandLine && from.Rank < CommandLine && !amongst(s.Services, l) {
			return nil, fmt.Errorf("%w (%s), and the command line does not count over that", ErrOverruled, whence(from))
		}
	}
	chosen := map[string]Said{}
	for _, n := range names {
		chosen[n] = Said{Name: n, Text: from.Values[n].Text, From: from.Values[n].From, Rank: from.Rank}
		if chosen[n].Text == "" { // whoever names one service has said that there are no others
			chosen[n] = Said{Name: n, From: "default", Rank: Default}
		}
	}
	return chosen, err
}

// amongst says whether the service that a layer names, in part or in whole, is
// one of those.
func amongst(all []desk.Service, l Layer) bool {
	issuer, origin, bridge := l.Values[nameIssuer].Text, l.Values[nameOrigin].Text, l.Values[nameBridge].Text
	return issuer == "" && origin == "" && bridge == "" || slices.ContainsFunc(all, func(s desk.Service) bool {
		return (issuer == "" || issuer == s.Issuer) && (origin == "" || origin == s.Origin) && (bridge == "" || bridge == s.Bridge)
	})
}

func whence(l Layer) string {
	for _, n := range []string{nameIssuer, nameOthers, nameOrigin} {
		if v := l.Values[n]; v.Text != "" {
			return v.From
		}
	}
	return ""
}

// listed reads the services that a layer names.
func listed(l Layer) ([]desk.Service, error) {
	var all []desk.Service
	var problems []error
	bridge := strings.TrimSuffix(l.Values[nameBridge].Text, "/") // of the first service, which Issuer names
	add := func(v Value, issuer, origin string) {
		s, err := service(issuer, origin, bridge)
		bridge = ""
		if err == nil && slices.ContainsFunc(all, func(other desk.Service) bool { return other.Alias == s.Alias }) {
			err = fmt.Errorf("two services have pages at %s, and links could mean either", s.Alias)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", v.From, err))
			return
		}
		all = append(all, s)
	}
	issuer, origin := l.Values[nameIssuer], l.Values[nameOrigin]
	if bridge := l.Values[nameBridge]; bridge.Text != "" && issuer.Text == "" {
		problems = append(problems, fmt.Errorf("%s: %s says nothing without %s", bridge.From, nameBridge, nameIssuer))
	}
	switch {
	case issuer.Text != "":
		add(issuer, issuer.Text, origin.Text)
	case origin.Text != "":
		problems = append(problems, fmt.Errorf("%s: %s says nothing without %s", origin.From, nameOrigin, nameIssuer))
	}
	others := l.Values[nameOthers]
	if others.Text != "" {
		for item := range strings.SplitSeq(others.Text, ",") {
			words := strings.Fields(item)
			if len(words) == 0 || len(words) > 2 || len(all) >= maxServices {
				problems = append(problems, fmt.Errorf("%s: %s: an issuer and at most one address of its pages are wanted between commas, for %d services at most",
					others.From, nameOthers, maxServices))
				break
			}
			add(others, words[0], strings.Join(words[1:], ""))
		}
	}
	return all, errors.Join(problems...)
}

// service is the one with that issuer. Its pages are where the issuer's address
// says, unless something else is said. Links call it by the host of its pages.
func service(issuer, origin, bridge string) (desk.Service, error) {
	if len(issuer) > 2048 || len(origin) > 2048 || len(bridge) > 2048 {
		return desk.Service{}, errors.New("the address is too long")
	}
	if origin == "" {
		u, err := url.Parse(issuer)
		if err != nil || u.Host == "" {
			return desk.Service{}, fmt.Errorf("%.80q is no address of a sign-in service", issuer)
		}
		host := u.Host
		if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
			host = u.Hostname() // as browsers write it
		}
		origin = u.Scheme + "://" + host
	}
	_, alias, _ := strings.Cut(origin, "://")
	s := desk.Service{Alias: alias, Issuer: issuer, Origin: origin, Bridge: bridge}
	return s, s.Check()
}
