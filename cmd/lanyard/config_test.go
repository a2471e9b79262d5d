package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// written puts text into a file that only we may read.
func written(t *testing.T, text string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lanyard-test-") // not named after the test, whose commas would part a list
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writtenDirectory writes a directory document to a file, and returns its name.
func writtenDirectory(t *testing.T, doc directory.Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := directory.Write(&b, doc); err != nil {
		t.Fatal(err)
	}
	return written(t, b.String())
}

func TestReadConfig(t *testing.T) {
	t.Run("own rule: option over environment over file over default", func(t *testing.T) {
		file := written(t, "issuer: https://file.example\nlisten: file:1\nops_listen: file:2\nredis:\n  addresses: [a:1, b:2]\n")
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		var ignored string
		configFlags(flags, &ignored)
		if err := flags.Parse([]string{"--issuer", "https://flag.example", "--trusted-proxies", "10.0.0.1,10.1.0.0/16"}); err != nil {
			t.Fatal(err)
		}
		c, from, err := readConfig(configSource{file: file, flags: flags, environ: []string{
			"LANYARD_ISSUER=https://env.example", "LANYARD_LISTEN=env:1", "LANYARD_POLICY_KEYS_ROTATE_EVERY=48h", "LANYARD_LOG_LEVEL=", "LANYARD_TOKEN=x", "HOME=/"}})
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]struct{ value, from string }{
			"issuer":                   {"https://flag.example", "option --issuer"},
			"listen":                   {"env:1", "environment LANYARD_LISTEN"},
			"ops_listen":               {"file:2", file + ":3"},
			"layout":                   {"standard", "default"},
			"redis.addresses":          {"[a:1 b:2]", file + ":5"},
			"policy.keys.rotate_every": {"48h0m0s", "environment LANYARD_POLICY_KEYS_ROTATE_EVERY"},
			"trusted_proxies":          {"[10.0.0.1/32 10.1.0.0/16]", "option --trusted-proxies"},
			"log.level":                {"INFO", "default"},
		} {
			for _, s := range settings(&c) {
				if s.key == key && (s.shown() != want.value || from[key].from != want.from) {
					t.Errorf("%s is %s from %s, want %s from %s", key, s.shown(), from[key].from, want.value, want.from)
				}
			}
		}
	})
	for _, tt := range []struct{ rule, text, want string }{
		{"own rule: an unknown key is named with its line and the nearest", "issuer: x\nredis:\n  adresses: [a]\n", `:3: unknown key "redis.adresses": did you mean "redis.addresses"?`},
		{"own rule: settings of development are unknown here", "auto_login: \"555000000101\"\n", `:1: unknown key "auto_login"`},
		{"own rule: what is given twice is refused", "issuer: x\nissuer: y\n", ":2: issuer is given twice: first on line 1"},
		{"own rule: a section has no value", "redis: localhost:6379\n", ":1: keys and values are wanted here"},
		{"own rule: a value has no keys", "issuer: {a: b}\n", ":1: issuer has a value, not keys of its own"},
		{"own rule: a list is not one value", "issuer: [a, b]\n", ":1: issuer: one value is wanted"},
		{"own rule: one value is not a list", "redis:\n  addresses: a:1\n", ":2: redis.addresses: a list is wanted"},
		{"own rule: a time has a unit", "shutdown:\n  drain: 15\n", `:2: shutdown.drain: "15" is no time`},
		{"own rule: a network is one", "trusted_proxies: [10.0.0.0/33]\n", ":1: trusted_proxies: \"10.0.0.0/33\" is no network"},
		{"own rule: a network has nothing after its length", "trusted_proxies: [10.1.0.0/8]\n", "did you mean 10.0.0.0/8?"},
		{"own rule: true and false are written so", "redis: {tls: yes}\n", `:1: redis.tls: "yes": write true or false`},
		{"own rule: a number is one", "postgres: {max_conns: many}\n", "is no whole number"},
		{"own rule: a level of the log is one", "log: {level: loud}\n", `:1: log.level: "loud" is not known`},
		{"own rule: no anchors and aliases", "issuer: &a x\nlayout: *a\n", ":1: anchors, aliases and tags are not allowed"},
		{"own rule: one document", "issuer: x\n---\nissuer: y\n", "a second document"},
		{"own rule: what is no YAML is refused", "issuer: [\n", "line"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			_, _, err := readConfig(configSource{file: written(t, tt.text)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("own rule: an unknown variable is named with the nearest", func(t *testing.T) {
		_, _, err := readConfig(configSource{environ: []string{"LANYARD_REDIS_ADRESSES=a:1"}})
		if err == nil || !strings.Contains(err.Error(), "LANYARD_REDIS_ADRESSES: did you mean LANYARD_REDIS_ADDRESSES?") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("own rule: a file that is named must be there", func(t *testing.T) {
		if _, _, err := readConfig(configSource{file: filepath.Join(t.TempDir(), "none")}); err == nil {
			t.Error("it is not missed")
		}
	})
}

func TestShowConfig(t *testing.T) {
	t.Run("own rule: no secret is shown, whatever form it stands in", func(t *testing.T) {
		for _, address := range []string{
			"postgres://lanyard:hunter2@db/x", "host=db password=hunter2", "postgres://db/x?password=hunter2", "postgres://lanyard:hunter2@db:port/x",
			"postgres:/lanyard:hunter2@db/x", "postgres:lanyard:hunter2@db/x", "postgres://lanyard:1/hunter2@db/x", "postgresql://lanyard:1#hunter2@db/x",
			"redis://:hunter2@cache:6379", ":hunter2@cache:6379", "hunter2@cache:6379", "http://u:hunter2@collector:4318", "http://hunter2@collector", "http://u:hunter2%zz@x",
		} {
			var environ []string
			for _, key := range []string{"POSTGRES_URL", "REDIS_ADDRESSES", "TRACING_ENDPOINT", "ISSUER"} {
				if key == "POSTGRES_URL" || !strings.Contains(address, "password=") {
					environ = append(environ, "LANYARD_"+key+"="+address)
				}
			}
			c, from, err := readConfig(configSource{environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := showConfig(&b, &c, from, true); err != nil || strings.Contains(b.String(), "hunter2") {
				t.Errorf("%v\n%s", err, b.String())
			}
		}
	})
	t.Run("own rule: the user and the host are", func(t *testing.T) {
		if got := withoutPassword("postgres://lanyard:x@db/y?sslmode=verify-full"); got != "postgres://lanyard@db/y?sslmode=verify-full" {
			t.Error(got)
		}
	})
}

// TestConfigurationDocument holds docs/configuration.md to the struct.
func TestConfigurationDocument(t *testing.T) {
	t.Run("own rule: every setting stands in the document with its default, variable and meaning, and no other", func(t *testing.T) {
		var c Config
		var want []string
		for _, s := range settings(&c) {
			fallback := s.fallback
			if fallback != "" {
				fallback = "`" + fallback + "`"
			}
			want = append(want, "| `"+s.key+"` | "+fallback+" | `"+s.env()+"` | "+s.help+" |")
		}
		got := regexp.MustCompile("(?m)^\\| `[a-z0-9_.]+` \\|.*$").FindAllString(text(t, "docs/configuration.md"), -1)
		if len(want) != len(got) {
			t.Errorf("the document has %d settings, and there are %d", len(got), len(want))
		}
		for i := range min(len(want), len(got)) {
			if want[i] != got[i] {
				t.Errorf("the document says\n%s\nand it should say\n%s", got[i], want[i])
			}
		}
		if t.Failed() {
			t.Logf("the whole table:\n%s", strings.Join(want, "\n"))
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add("issuer: x\nredis:\n  addresses: [a:1]\n")
	f.Add("a: &a [*a]\n<<: *a\n? [x]\n: y\n")
	var c Config
	all := settings(&c)
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseConfig("f", []byte(text), all)
		if err == nil {
			for key := range found {
				if nearestKey(key, all) != key {
					t.Errorf("%q was read and is no setting", key)
				}
			}
		}
	})
}

// aDay is when the certificates of these tests are good.
var aDay = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestNetwork(t *testing.T) {
	t.Run("own rule: a network that would match nobody is refused by name", func(t *testing.T) {
		for _, word := range []string{"::ffff:10.1.0.0/112", "::ffff:10.1.0.4/128", "::ffff:0:0/96"} {
			for _, key := range []string{"TRUSTED_PROXIES", "SMARTCARD_OCSP_NETWORKS"} {
				_, _, err := readConfig(configSource{environ: []string{"LANYARD_" + key + "=" + word}})
				if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "written as IPv6") {
					t.Errorf("%s=%s: %v", key, word, err)
				}
			}
		}
		if p, err := network("::ffff:10.1.0.4"); err != nil || p.String() != "10.1.0.4/32" {
			t.Errorf("an address of IPv4 written as IPv6: %v, %v", p, err)
		}
	})
}
