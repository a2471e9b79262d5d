package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/settings"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// says is everything that the doctor found, a line each.
func (e *examination) says(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	if err := e.print(&out, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func atNoon() *examination {
	return &examination{now: func() time.Time { return noon }, getenv: func(string) string { return "" }}
}

// aCard is what a card shows whose certificate lives for so many days.
func aCard(days, tries int) card.About {
	return card.About{Reader: "Reader 00 00", TriesLeft: tries, Certificate: &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Dr Asha Smith"},
		NotBefore: noon.Add(-24 * time.Hour), NotAfter: noon.Add(time.Duration(days) * 24 * time.Hour),
	}}
}

func TestDoctorCards(t *testing.T) {
	later := aCard(400, 3)
	later.Certificate.NotBefore = noon.Add(48 * time.Hour)
	for _, tt := range []struct {
		rule string
		seen []card.Seen
		err  error
		want string
	}{
		{"own rule: without a service for card readers nobody signs in", nil, errors.New("it does not answer"), "FAIL  readers: it does not answer; "},
		{"own rule: a reader that is missing can be connected", nil, nil, "warn  readers: the service for card readers answers, and no reader is connected; connect one"},
		{"own rule: a desk may be without a card", []card.Seen{{Reader: "R"}}, nil, `ok    readers: "R" is there, and empty`},
		{"own rule: a good card is said to be one", []card.Seen{{Reader: "R", Card: true, About: aCard(400, 3)}}, nil,
			"ok    readers: \"R\" has a card\nok    card of Dr Asha Smith: its certificate ends on 2031-02-05\nok    card of Dr Asha Smith: tries left: 3\n"},
		{"own rule: the end of a certificate is said ahead", []card.Seen{{Reader: "R", Card: true, About: aCard(89, 3)}}, nil, "warn  card of Dr Asha Smith: its certificate ends on 2030-03-31"},
		{"own rule: a certificate that ended signs nobody in", []card.Seen{{Reader: "R", Card: true, About: aCard(-1, 3)}}, nil, "FAIL  card of Dr Asha Smith: its certificate ended on 2029-12-31"},
		{"own rule: a certificate that has not begun is said", []card.Seen{{Reader: "R", Card: true, About: later}}, nil, "FAIL  card of Dr Asha Smith: its certificate begins on 2030-01-03"},
		{"own rule: the last try is said before it is used", []card.Seen{{Reader: "R", Card: true, About: aCard(400, 1)}}, nil, "warn  card of Dr Asha Smith: one try is left"},
		{"own rule: a locked card is said to be locked", []card.Seen{{Reader: "R", Card: true, About: aCard(400, 0)}}, nil, "FAIL  card of Dr Asha Smith: it is locked"},
		{"own rule: another program that keeps the card is named as the reason", []card.Seen{{Reader: "R", Card: true, Problem: card.ErrBusy}}, nil, `warn  card: another program keeps the card in "R"`},
		{"own rule: another kind of card is said to be one", []card.Seen{{Reader: "R", Card: true, Problem: card.ErrUnsupported}}, nil, `warn  card: the one in "R" is no card to sign in with`},
		{"own rule: a card that does not answer is said not to", []card.Seen{{Reader: "R", Card: true, Problem: card.ErrRemoved}}, nil, `warn  card: the one in "R" does not answer`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			e := atNoon()
			e.cards = func(context.Context) ([]card.Seen, error) { return tt.seen, tt.err }
			e.readers(t.Context())
			if got := e.says(t); !strings.Contains(got, tt.want) {
				t.Errorf("it says\n%swant %q", got, tt.want)
			}
		})
	}
}

func TestDoctorSettings(t *testing.T) {
	t.Run("own rule: a desk that nobody has set up is said to be one", func(t *testing.T) {
		e := atNoon()
		e.settings(settings.Read())
		if got := e.says(t); !strings.HasPrefix(got, "warn  settings: no sign-in service is named") {
			t.Error(got)
		}
	})
	t.Run("own rule: who may ask is said, and who said so", func(t *testing.T) {
		e := atNoon()
		e.settings(settings.Read(settings.LayerOf(settings.Policy, func(name string) settings.Value {
			return settings.Value{Text: map[string]string{"Issuer": "https://id.example"}[name], From: "/etc/p:1"}
		})))
		if got := e.says(t); got != "ok    settings: https://id.example may ask for signatures, says /etc/p:1\n" {
			t.Error(got)
		}
	})
	t.Run("own rule: each wrong setting is a line", func(t *testing.T) {
		e := atNoon()
		e.settings(settings.Settings{}, errors.Join(errors.New("one"), errors.New("two")))
		if got := e.says(t); strings.Count(got, "FAIL  settings: ") != 2 {
			t.Error(got)
		}
	})
}

func TestDoctorService(t *testing.T) {
	answer := func(w http.ResponseWriter, issuer string, at time.Time) {
		w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": issuer})
	}
	var issuer string
	for _, tt := range []struct {
		rule    string
		handler http.HandlerFunc
		want    []string
	}{
		{"own rule: a service that answers under its name is good", func(w http.ResponseWriter, _ *http.Request) { answer(w, issuer, noon) },
			[]string{"it answers, and under its name", "ok    clock: "}},
		{"own rule: a service with another name is not the one of the settings", func(w http.ResponseWriter, _ *http.Request) { answer(w, "https://other.example", noon) },
			[]string{`FAIL  service `, `calls itself "https://other.example"`}},
		{"own rule: a clock that is wrong is said to be", func(w http.ResponseWriter, _ *http.Request) { answer(w, issuer, noon.Add(-2*time.Minute)) },
			[]string{"warn  clock: that of ", "is -2m0s ahead of this computer's"}},
		{"own rule: what is no discovery document is no service", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") },
			[]string{"FAIL  service ", "what it answers is no discovery document"}},
		{"own rule: the doctor follows nobody elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://other.example/", http.StatusFound)
		},
			[]string{"FAIL  service ", "status 302"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := httptest.NewServer(tt.handler)
			defer s.Close()
			issuer = s.URL
			e := atNoon()
			e.service(t.Context(), desk.Service{Alias: "here", Issuer: s.URL, Origin: s.URL})
			got := e.says(t)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("it says\n%swant %q", got, want)
				}
			}
		})
	}
	t.Run("own rule: a certificate that this computer does not trust is said", func(t *testing.T) {
		s := httptest.NewTLSServer(http.NotFoundHandler())
		s.Config.ErrorLog = nil
		defer s.Close()
		e := atNoon()
		e.service(t.Context(), desk.Service{Alias: "here", Issuer: s.URL, Origin: s.URL})
		if got := e.says(t); !strings.HasPrefix(got, "FAIL  service here: it does not answer: ") || !strings.Contains(got, "certificate") {
			t.Error(got)
		}
	})
	t.Run("own rule: pages that do not answer are said, although the issuer does", func(t *testing.T) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, issuer, noon) }))
		defer s.Close()
		gone := httptest.NewServer(nil)
		gone.Close()
		issuer = s.URL
		e := atNoon()
		e.service(t.Context(), desk.Service{Alias: "here", Issuer: s.URL, Origin: gone.URL})
		if got := e.says(t); !strings.Contains(got, "FAIL  service here: its pages do not answer") {
			t.Error(got)
		}
	})
}

func TestDoctorBridge(t *testing.T) {
	there := func(at time.Time, not string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
			if r.Method != http.MethodGet || r.URL.Path == not {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}
	named := func(name string, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Lanyard-Bridge", cmp.Or(name, "HTTP://"+r.Host))
			next(w, r)
		}
	}
	for _, tt := range []struct {
		rule    string
		handler http.HandlerFunc
		want    []string
	}{
		{"own rule: a bridge that the settings call as it calls itself is in order, whichever way it is written", named("", there(noon, "")), []string{"ok    bridge: http://"}},
		{"own rule: a bridge that calls itself otherwise than the settings do opens nothing, and that is a warning", named("https://gas.example", there(noon, "")),
			[]string{`warn  bridge: the bridge calls itself "https://gas.example", and the settings say "http://127.0.0.1:`, "write the service's bridge.url as Bridge", "ok    clock: that of the bridge "}},
		{"own rule: a bridge that is there is said to be, and its clock is compared", there(noon, ""), []string{"ok    bridge: http://", "ok    clock: that of the bridge "}},
		{"own rule: a bridge whose clock is wrong is said to be", there(noon.Add(2*time.Minute), ""), []string{"ok    bridge: ", "warn  clock: that of the bridge is 2m0s ahead"}},
		{"own rule: a bridge without a gateway for this desk is a warning: people sign in without", there(noon, "/login/authactivate"), []string{"warn  bridge: the bridge is not there for this desk: /login/authactivate answers with status 404; "}},
		{"own rule: a bridge that takes no sessions from desks is a warning", there(noon, "/login/deskproof"), []string{"warn  bridge: the bridge is not there for this desk: /login/deskproof"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := httptest.NewServer(tt.handler)
			defer s.Close()
			e := atNoon()
			e.bridge(t.Context(), desk.Service{Alias: "here", Bridge: s.URL})
			got := e.says(t)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("it says\n%swant %q", got, want)
				}
			}
		})
	}
	t.Run("own rule: a bridge that nobody trusts, or that does not answer, is a warning", func(t *testing.T) {
		s := httptest.NewTLSServer(http.NotFoundHandler())
		s.Config.ErrorLog = nil
		defer s.Close()
		for base, want := range map[string]string{s.URL: "certificate", "http://127.0.0.1:1": "connect"} {
			e := atNoon()
			e.bridge(t.Context(), desk.Service{Alias: "here", Bridge: base})
			if got := e.says(t); !strings.HasPrefix(got, "warn  bridge: "+base+" does not answer: ") || !strings.Contains(got, want) {
				t.Error(got)
			}
		}
	})
	t.Run("own rule: where no bridge is named nothing is said of one", func(t *testing.T) {
		e := atNoon()
		if e.bridge(t.Context(), desk.Service{Alias: "here"}); len(e.findings) > 0 {
			t.Error(e.says(t))
		}
	})
}

func TestDoctorPolicies(t *testing.T) {
	for _, tt := range []struct {
		pattern, origin string
		want            bool
	}{
		{"https://id.example", "https://id.example", true},
		{"id.example", "https://id.example", true},
		{"example", "https://id.example", true},
		{"[*.]example", "https://id.example", false},
		{"https://id.example/", "https://id.example", true},
		{"https://id.example/x", "https://id.example", false},
		{".example", "https://id.example", false},
		{".id.example", "https://id.example", true},
		{"https://*", "https://id.example", true},
		{"*", "https://id.example", true},
		{"http://id.example", "https://id.example", false},
		{"https://id.example:443", "https://id.example", true},
		{"https://id.example:8443", "https://id.example", false},
		{"https://id.example", "https://id.example:8443", true},
		{"https://id.example:8443", "https://id.example:8443", true},
		{"evil-id.example", "https://id.example", false},
		{"id.example", "https://evil-id.example", false},
		{"://", "https://id.example", false},
	} {
		t.Run("own rule: a browser's pattern stands for what the browser takes it for: "+tt.pattern+" "+tt.origin, func(t *testing.T) {
			if covers(tt.pattern, tt.origin) != tt.want {
				t.Errorf("covers() = %v", !tt.want)
			}
		})
	}
	service := desk.Service{Alias: "id.example", Issuer: "https://id.example", Origin: "https://id.example"}
	for _, tt := range []struct {
		rule, text       string
		exact            bool
		launches, blocks bool
	}{
		{"own rule: Chromium's policy is read", `{"AutoLaunchProtocolsFromOrigins":[{"protocol":"lanyard-desk","allowed_origins":["https://id.example"]}]}`, false, true, false},
		{"own rule: Firefox's policy is read", `{"policies":{"AutoLaunchProtocolsFromOrigins":[{"protocol":"lanyard-desk","allowed_origins":["https://id.example"]}]}}`, true, true, false},
		{"own rule: Firefox takes no patterns", `{"policies":{"AutoLaunchProtocolsFromOrigins":[{"protocol":"lanyard-desk","allowed_origins":["id.example"]}]}}`, true, false, false},
		{"own rule: another protocol's policy says nothing of ours", `{"AutoLaunchProtocolsFromOrigins":[{"protocol":"tel","allowed_origins":["*"]}]}`, false, false, false},
		{"own rule: a list that blocks all blocks our links", `{"URLBlocklist":["*"]}`, false, false, true},
		{"own rule: a list that allows our links opens them without a question", `{"URLBlocklist":["*"],"URLAllowlist":["lanyard-desk:*"]}`, false, true, false},
		{"own rule: a list that blocks our links blocks them", `{"URLBlocklist":["lanyard-desk:*"]}`, false, false, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p, err := policyText{text: []byte(tt.text)}.read()
			if err != nil || p.launches(service, tt.exact) != tt.launches || p.blocks() != tt.blocks {
				t.Errorf("read() = %+v, %v", p, err)
			}
		})
	}
	t.Run("own rule: of two files the one that is read last counts", func(t *testing.T) {
		var p policies
		for _, text := range []string{`{"URLBlocklist":["*"],"AutoLaunchProtocolsFromOrigins":[{"protocol":"lanyard-desk","allowed_origins":["*"]}]}`, `{"URLBlocklist":[]}`} {
			one, err := policyText{text: []byte(text)}.read()
			if err != nil {
				t.Fatal(err)
			}
			p = p.under(one)
		}
		if p.blocks() || !p.launches(service, false) {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzPolicies(f *testing.F) {
	f.Add(`{"AutoLaunchProtocolsFromOrigins":[{"protocol":"lanyard-desk","allowed_origins":["[*.]example:1"]}]}`)
	f.Fuzz(func(_ *testing.T, text string) {
		p, err := policyText{text: []byte(text)}.read()
		if err == nil {
			p.blocks()
			p.launches(desk.Service{Origin: "https://[::1]:8443"}, false)
		}
	})
}

func TestDoctorPrint(t *testing.T) {
	e := atNoon()
	e.note(warn, "part", "something", "do it")
	var out bytes.Buffer
	if err := e.print(&out, true); err != nil {
		t.Fatal(err)
	}
	var got []finding
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || !slices.Equal(got, e.findings) {
		t.Errorf("own rule: what is written as JSON is what was found: %s, %v", out.String(), err)
	}
}

// selfSigned is the certificate of a key as the template wants it.
func selfSigned(t *testing.T, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
