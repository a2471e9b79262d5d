package settings

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

// says is a layer of "Name=value" words.
func says(rank Rank, from string, words ...string) Layer {
	l := Layer{Rank: rank, Values: map[string]Value{}}
	for _, w := range words {
		name, text, _ := strings.Cut(w, "=")
		l.Values[name] = Value{Text: text, From: from}
	}
	return l
}

func TestRead(t *testing.T) {
	t.Run("own rule: without a word the development service of this computer is meant", func(t *testing.T) {
		s, err := Read()
		want := []desk.Service{{Alias: "localhost:8080", Issuer: "http://localhost:8080", Origin: "http://localhost:8080"}}
		if err != nil || !slices.Equal(s.Services, want) || !s.Assumed() {
			t.Errorf("Read() = %+v, %v", s, err)
		}
		if s.PINTimer != 5*time.Minute || s.PollReaders || !s.Tray || s.LogLevel != slog.LevelInfo {
			t.Errorf("Read() = %+v", s)
		}
	})
	for _, tt := range []struct {
		rule   string
		layers []Layer
		want   string
		from   string
	}{
		{"own rule: policy counts over machine", []Layer{says(Machine, "m", "TimeToShowPinForm=100"), says(Policy, "p", "TimeToShowPinForm=200")}, "200", "p"},
		{"own rule: machine counts over the command line", []Layer{says(CommandLine, "c", "TimeToShowPinForm=100"), says(Machine, "m", "TimeToShowPinForm=200")}, "200", "m"},
		{"own rule: the command line counts over the person's file", []Layer{says(User, "u", "TimeToShowPinForm=100"), says(CommandLine, "c", "TimeToShowPinForm=200")}, "200", "c"},
		{"own rule: what an older product left counts over the default alone", []Layer{says(Former, "f", "TimeToShowPinForm=120")}, "120", "f"},
		{"own rule: ours count over what an older product left", []Layer{says(Former, "f", "TimeToShowPinForm=120"), says(User, "u", "TimeToShowPinForm=200")}, "200", "u"},
		{"own rule: an older product's value is brought within our bounds", []Layer{says(Former, "f", "TimeToShowPinForm=900")}, "300", "f"},
		{"own rule: an older product's value that cannot be read is left alone", []Layer{says(Former, "f", "TimeToShowPinForm=soon")}, "300", "default"},
		{"own rule: an empty value says nothing", []Layer{says(Policy, "p", "TimeToShowPinForm="), says(User, "u", "TimeToShowPinForm=200")}, "200", "u"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s, err := Read(tt.layers...)
			got := s.Named("TimeToShowPinForm")
			if err != nil || got.Text != tt.want || got.From != tt.from || s.PINTimer.Seconds() != seconds(tt.want) {
				t.Errorf("Read() = %+v, %v; PINTimer %v", got, err, s.PINTimer)
			}
		})
	}
}

func seconds(text string) float64 {
	d, _ := time.ParseDuration(text + "s")
	return d.Seconds()
}

func TestReadServices(t *testing.T) {
	const hospital = "https://id.hospital.example"
	for _, tt := range []struct {
		rule   string
		layers []Layer
		want   []desk.Service
		err    string
	}{
		{"own rule: a person names a service where the computer names none", []Layer{says(User, "u", "Issuer="+hospital)},
			[]desk.Service{{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital}}, ""},
		{"own rule: a person cannot name another service than policy does", []Layer{says(Policy, "p", "Issuer="+hospital), says(User, "u", "Issuer=https://evil.example", "Origin=https://evil.example")},
			[]desk.Service{{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital}}, ""},
		{"own rule: a person cannot add a service to those of the computer", []Layer{says(Machine, "m", "Issuer="+hospital), says(User, "u", "OtherServices=https://evil.example")},
			[]desk.Service{{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital}}, ""},
		{"own rule: a person cannot move the pages of the computer's service", []Layer{says(Machine, "m", "Issuer="+hospital), says(User, "u", "Origin=https://evil.example")},
			[]desk.Service{{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital}}, ""},
		{"own rule: a policy with other services alone leaves none to the machine", []Layer{says(Policy, "p", "OtherServices="+hospital), says(Machine, "m", "Issuer=https://other.example")},
			[]desk.Service{{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital}}, ""},
		{"own rule: an older product names no service", []Layer{says(Former, "f", "Issuer=https://old.example")},
			[]desk.Service{{Alias: "localhost:8080", Issuer: developmentIssuer, Origin: developmentIssuer}}, ""},
		{"own rule: the issuer is kept to the letter, and its pages are where browsers write them", []Layer{says(Policy, "p", "Issuer=https://am.example:443/openam/oauth2")},
			[]desk.Service{{Alias: "am.example", Issuer: "https://am.example:443/openam/oauth2", Origin: "https://am.example"}}, ""},
		{"own rule: a computer may know several services", []Layer{says(Policy, "p", "Issuer="+hospital, "OtherServices=https://b.example, https://c.example/realm https://pages.c.example")},
			[]desk.Service{
				{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital},
				{Alias: "b.example", Issuer: "https://b.example", Origin: "https://b.example"},
				{Alias: "pages.c.example", Issuer: "https://c.example/realm", Origin: "https://pages.c.example"},
			}, ""},
		{"own rule: the bridge is that of the service that Issuer names", []Layer{says(Policy, "p", "Issuer="+hospital, "Bridge=https://gas.example/", "OtherServices=https://b.example")},
			[]desk.Service{
				{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital, Bridge: "https://gas.example"},
				{Alias: "b.example", Issuer: "https://b.example", Origin: "https://b.example"},
			}, ""},
		{"own rule: a person gives the computer's service no bridge", []Layer{says(Machine, "m", "Issuer="+hospital), says(User, "u", "Bridge=https://evil.example")},
			[]desk.Service{{Alias: "id.hospital.example", Issuer: hospital, Origin: hospital}}, ""},
		{"own rule: a bridge is reached by https", []Layer{says(Policy, "p", "Issuer="+hospital, "Bridge=http://gas.example")}, nil, "its bridge must be reached by https"},
		{"own rule: a bridge is an address without a path", []Layer{says(Policy, "p", "Issuer="+hospital, "Bridge=https://gas.example/saml")}, nil, "its bridge is no address"},
		{"own rule: a bridge without an issuer is an error", []Layer{says(User, "u", "Bridge=https://gas.example")}, nil, "u: Bridge says nothing without Issuer"},
		{"own rule: two services cannot share their pages", []Layer{says(Policy, "p", "Issuer="+hospital, "OtherServices="+hospital+"/realm")}, nil, "links could mean either"},
		{"own rule: a service is reached by https", []Layer{says(Policy, "p", "Issuer=http://id.hospital.example")}, nil, "p: service id.hospital.example: it must be reached by https"},
		{"own rule: pages without an issuer are an error", []Layer{says(User, "u", "Origin="+hospital)}, nil, "u: Origin says nothing without Issuer"},
		{"own rule: what is no address is an error", []Layer{says(User, "u", "Issuer=hospital")}, nil, "no address"},
		{"own rule: three words are no service", []Layer{says(User, "u", "OtherServices=https://a.example https://b.example https://c.example")}, nil, "at most one address"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s, err := Read(tt.layers...)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Read() = %v; want %q", err, tt.err)
				}
				return
			}
			if err != nil || !slices.Equal(s.Services, tt.want) {
				t.Errorf("Read() = %+v, %v; want %+v", s.Services, err, tt.want)
			}
		})
	}
	t.Run("own rule: a command line that names another service than the computer is told so", func(t *testing.T) {
		_, err := Read(says(Machine, "/etc/m:1", "Issuer="+hospital), says(CommandLine, "option --issuer", "Issuer=https://other.example"))
		if !errors.Is(err, ErrOverruled) || !strings.Contains(err.Error(), "/etc/m:1") {
			t.Errorf("Read() = %v", err)
		}
		for _, other := range [][]string{{"Origin=https://pages.example"}, {"Issuer=" + hospital, "Origin=https://pages.example"}} {
			if _, err := Read(says(Machine, "/etc/m:1", "Issuer="+hospital), says(CommandLine, "option", other...)); !errors.Is(err, ErrOverruled) {
				t.Errorf("Read() = %v for %v", err, other)
			}
		}
		for _, same := range [][]string{{"Issuer=" + hospital}, {"Origin=" + hospital}, {"Issuer=" + hospital, "Origin=" + hospital}} {
			if _, err := Read(says(Machine, "/etc/m:1", "Issuer="+hospital), says(CommandLine, "option", same...)); err != nil {
				t.Errorf("Read() = %v for %v, which is the same", err, same)
			}
		}
	})
	t.Run("own rule: a command line that says where pages are, and of which service not, is told so", func(t *testing.T) {
		if _, err := Read(says(CommandLine, "option --origin", "Origin="+hospital), says(User, "u", "Issuer="+hospital)); err == nil {
			t.Error("it was dropped without a word")
		}
	})
}

func TestReadRefuses(t *testing.T) {
	for _, word := range []string{"TimeToShowPinForm=29", "TimeToShowPinForm=301", "TimeToShowPinForm=5m", "UseCardReaderPolling=perhaps", "Tray=2", "LogLevel=INFO", "LogLevel=all"} {
		t.Run("own rule: a value that cannot be taken is an error that says where: "+word, func(t *testing.T) {
			// Although another layer counts over it.
			_, err := Read(says(User, "u:3", word), says(Policy, "p", "TimeToShowPinForm=60", "UseCardReaderPolling=true", "Tray=true", "LogLevel=info"))
			if name, _, _ := strings.Cut(word, "="); err == nil || !strings.HasPrefix(err.Error(), "u:3: "+name+": ") {
				t.Errorf("Read() = %v", err)
			}
		})
	}
	t.Run("own rule: every default can be taken", func(t *testing.T) {
		for _, k := range All {
			if k.take != nil && k.take(new(Settings), k.Default) != nil {
				t.Errorf("%s: %q", k.Name, k.Default)
			}
		}
	})
}
