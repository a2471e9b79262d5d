//go:build !windows

package settings

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// write makes a file and returns its path.
func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayers(t *testing.T) {
	us, missing := os.Getuid(), filepath.Join(t.TempDir(), "missing")
	t.Run("own rule: three files are read, and each may be missing", func(t *testing.T) {
		layers, err := layersIn(write(t, "p", "Tray=true\n", 0o644), missing, write(t, "u", "LogLevel=debug\n", 0o664), us, us)
		if err != nil || len(layers) != 2 || layers[0].Rank != Policy || layers[1].Rank != User || layers[1].Values["LogLevel"].Text != "debug" {
			t.Errorf("layersIn() = %+v, %v", layers, err)
		}
	})
	t.Run("own rule: no file counts in a folder where others may put another in its place, nor one that they took away", func(t *testing.T) {
		folder := func(mode os.FileMode) string {
			path := write(t, "agent.conf", "", 0o644)
			if err := os.Chmod(filepath.Dir(path), mode); err != nil {
				t.Fatal(err)
			}
			return path
		}
		for name, files := range map[string][3]string{
			"a policy":                               {folder(0o775), missing, missing},
			"settings of the computer":               {missing, folder(0o757), missing},
			"settings of a person":                   {missing, missing, folder(0o777)},
			"a policy that somebody took away":       {filepath.Join(filepath.Dir(folder(0o777)), "policy.conf"), missing, missing},
			"a policy in a folder that root has not": {folder(0o755), missing, missing},
		} {
			administrator, want := us, "may be changed by others"
			if strings.HasSuffix(name, "not") {
				administrator, want = us+1, "belongs to somebody who may not say this"
			}
			if _, err := layersIn(files[0], files[1], files[2], administrator, us); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: layersIn() = %v", name, err)
			}
		}
		if _, err := layersIn(missing, missing, folder(0o775), us, us); err != nil {
			t.Errorf("a person's group is theirs: layersIn() = %v", err)
		}
	})
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule                  string
		policy, machine, user string
		administrator         int
		want                  string
	}{
		{"own rule: a policy that its group may change does not count", write(t, "p", "", 0o664), missing, missing, us, "may be changed by others"},
		{"own rule: a policy that all may change does not count", write(t, "p", "", 0o646), missing, missing, us, "may be changed by others"},
		{"own rule: settings of the computer that its group may change do not count", missing, write(t, "m", "", 0o664), missing, us, "may be changed by others"},
		{"own rule: settings of a person that all may change do not count", missing, missing, write(t, "u", "", 0o666), us, "may be changed by others"},
		{"own rule: settings of the computer are its administrator's", missing, write(t, "m", "", 0o644), missing, us + 1, "belongs to somebody who may not say this"},
		{"own rule: a pipe is no file of settings", pipe, missing, missing, us, "is no regular file"},
		{"own rule: a folder is no file of settings", t.TempDir(), missing, missing, us, "is no regular file"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if _, err := layersIn(tt.policy, tt.machine, tt.user, tt.administrator, us); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("layersIn() = %v", err)
			}
		})
	}
	t.Run("own rule: a person's file is where the XDG rules say", func(t *testing.T) {
		for _, tt := range []struct{ config, home, want string }{
			{"/c", "/h", "/c/lanyard-agent/agent.conf"},
			{"", "/h", "/h/.config/lanyard-agent/agent.conf"},
			{"relative", "/h", "/h/.config/lanyard-agent/agent.conf"},
			{"", "", ""},
		} {
			got := userFile(func(name string) string {
				return map[string]string{"XDG_CONFIG_HOME": tt.config, "HOME": tt.home}[name]
			})
			if got != tt.want {
				t.Errorf("userFile(%q, %q) = %q", tt.config, tt.home, got)
			}
		}
	})
}
