//go:build linux

package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
)

const repository = "../.."

// packed is what deploy/agent/nfpm.yaml says.
type packed struct {
	Version  string
	Depends  []string
	Contents []struct {
		Src, Dst, Type string
		FileInfo       struct{ Mode uint32 } `yaml:"file_info"`
	}
	Scripts map[string]string
}

// unpacked lays out what the package installs in a folder, as dpkg would, and
// returns the folder.
func unpacked(t *testing.T) (string, packed) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "deploy/agent/nfpm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var p packed
	if err := yaml.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, c := range p.Contents {
		to := filepath.Join(root, c.Dst)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Type == "symlink":
			err = os.Symlink(c.Src, to)
		case c.Src == "bin/deb/lanyard-agent":
			err = os.Link(filepath.Join(programs(t), "lanyard-agent"), to)
		case strings.HasPrefix(c.Src, "bin/"): // is made with the package
			err = os.WriteFile(to, nil, 0o600)
		default:
			var b []byte
			if b, err = os.ReadFile(filepath.Join(repository, c.Src)); err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.Type != "symlink" {
			if err := os.Chmod(to, os.FileMode(c.FileInfo.Mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, p
}

// runs is the program that a line of an entry or a unit starts.
var runs = regexp.MustCompile(`(?m)^(?:ExecStart|Exec)=(\S+)(.*)$`)

func TestPackage(t *testing.T) {
	root, p := unpacked(t)
	read := func(path string) string {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	t.Run("own rule: what the package installs runs", func(t *testing.T) {
		out, err := exec.Command(filepath.Join(root, "usr/bin/lanyard-agent"), "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), version) {
			t.Errorf("%s, %v", out, err)
		}
	})
	t.Run("own rule: entries and unit start the program of the package", func(t *testing.T) {
		for path, want := range map[string]string{
			"usr/share/applications/" + installedEntry:                                  "/usr/bin/lanyard-agent open -- %u",
			"etc/xdg/autostart/lanyard-agent.desktop":                                   "/usr/bin/lanyard-agent",
			"usr/lib/systemd/user/lanyard-agent.service":                                "/usr/bin/lanyard-agent",
			"usr/lib/systemd/user/graphical-session.target.wants/lanyard-agent.service": "/usr/bin/lanyard-agent",
		} {
			m := runs.FindStringSubmatch(read(path))
			if m == nil || m[1]+m[2] != want {
				t.Errorf("%s starts %q", path, m)
			}
		}
	})
	t.Run("own rule: the package's entry opens the links of sign-in pages", func(t *testing.T) {
		if !strings.Contains(read("usr/share/applications/"+installedEntry), "\nMimeType=x-scheme-handler/"+desk.Scheme+";\n") {
			t.Error("it does not")
		}
	})
	t.Run("own rule: of unit and autostart one counts", func(t *testing.T) {
		entry := read("etc/xdg/autostart/lanyard-agent.desktop")
		for _, line := range []string{"X-systemd-skip=true", "X-GNOME-HiddenUnderSystemd=true"} {
			if !strings.Contains(entry, "\n"+line+"\n") {
				t.Errorf("the entry lacks %s", line)
			}
		}
	})
	t.Run("own rule: what people may change is kept by upgrades", func(t *testing.T) {
		for _, c := range p.Contents {
			if strings.HasPrefix(c.Dst, "/etc/") != (c.Type == "config") {
				t.Errorf("%s is of type %q", c.Dst, c.Type)
			}
			if mode := c.FileInfo.Mode; c.Type != "symlink" && mode != 0o644 && mode != 0o755 {
				t.Errorf("%s has mode %o", c.Dst, mode)
			}
		}
	})
	t.Run("own rule: the package brings readers, a window for passcodes and links", func(t *testing.T) {
		program, err := elf.Open(filepath.Join(root, "usr/bin/lanyard-agent"))
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		libraries, err := program.ImportedLibraries()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range libraries { // all of which are in one package
			if !slices.Contains([]string{"libc.so.6", "libdl.so.2", "libpthread.so.0"}, l) {
				t.Errorf("the program wants %s", l)
			}
		}
		for _, want := range []string{"libc6", "pcscd", "pinentry-", "xdg-utils", "desktop-file-utils"} {
			if !slices.ContainsFunc(p.Depends, func(d string) bool { return strings.HasPrefix(d, want) }) {
				t.Errorf("it depends on %q", p.Depends)
			}
		}
	})
	t.Run("own rule: its scripts are shell, and do nothing at the first installation", func(t *testing.T) {
		for what, path := range p.Scripts {
			path = filepath.Join(repository, path)
			for _, args := range [][]string{{"-n", path}, {path, "configure", ""}, {path, "upgrade", "0.1.0"}} {
				if out, err := exec.Command("sh", args...).CombinedOutput(); err != nil || len(out) > 0 {
					t.Errorf("%s %q: %v\n%s", what, args, err, out)
				}
			}
		}
	})
	t.Run("own rule: its program lies on every desk, and is small", func(t *testing.T) {
		const most = 12 << 20
		if info, err := os.Stat(filepath.Join(root, "usr/bin/lanyard-agent")); err != nil || info.Size() > most {
			t.Errorf("%d bytes, %v", info.Size(), err)
		}
	})
	t.Run("own rule: systemd takes the unit", func(t *testing.T) {
		analyze, err := exec.LookPath("systemd-analyze")
		if err != nil {
			t.Skip("unit not verified: systemd-analyze is not installed")
		}
		// It wants to see the program, which is not installed here.
		unit := filepath.Join(t.TempDir(), "lanyard-agent.service")
		if err := os.WriteFile(unit, []byte(strings.ReplaceAll(read("usr/lib/systemd/user/lanyard-agent.service"), "/usr/bin/", root+"/usr/bin/")), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(analyze, "--user", "--man=no", "verify", unit)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("own rule: desktops take the entries", func(t *testing.T) {
		validate, err := exec.LookPath("desktop-file-validate")
		if err != nil {
			t.Skip("entries not validated: desktop-file-utils is not installed")
		}
		for _, path := range []string{"usr/share/applications/" + installedEntry, "etc/xdg/autostart/lanyard-agent.desktop"} {
			if out, err := exec.Command(validate, filepath.Join(root, path)).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	})
}

// TestPoliciesDocument holds the policies that docs/agent.md gives to copy to
// what the doctor looks for.
func TestPoliciesDocument(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(repository, "docs/agent.md"))
	if err != nil {
		t.Fatal(err)
	}
	service := desk.Service{Issuer: "https://id.hospital.example", Origin: "https://id.hospital.example"}
	launches := 0
	for _, block := range regexp.MustCompile(`(?m)^    \{(?:.*)\n(?:    .*\n)*`).FindAllString(string(b), -1) {
		p, err := policyText{text: []byte(block)}.read()
		if err != nil {
			t.Errorf("own rule: what is given to copy can be read: %v\n%s", err, block)
		}
		if p.launches(service, true) {
			launches++
		}
	}
	if launches != 2 {
		t.Errorf("own rule: the document has the policy for Chromium and for Firefox: it has %d that open the agent", launches)
	}
}
