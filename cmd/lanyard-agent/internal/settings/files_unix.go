//go:build !windows

package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The files of the computer. Its administrators write both; the first is for
// what manages many computers.
const (
	policyFile  = "/etc/lanyard-agent/policy.conf"
	machineFile = "/etc/lanyard-agent/agent.conf"
)

// Layers reads the settings of this computer and of its person.
func Layers(getenv func(string) string) ([]Layer, error) {
	return layersIn(policyFile, machineFile, userFile(getenv), 0, os.Getuid())
}

// userFile is where a person's own settings are: empty where they have no home.
func userFile(getenv func(string) string) string {
	folder := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(folder) { // as the XDG rules want it
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return ""
		}
		folder = filepath.Join(home, ".config")
	}
	return filepath.Join(folder, "lanyard-agent", "agent.conf")
}

// layersIn reads the three files: the computer's, which must be its
// administrator's, and the person's.
func layersIn(policy, machine, user string, administrator, person int) ([]Layer, error) {
	var layers []Layer
	var problems []error
	for _, f := range []struct {
		path   string
		rank   Rank
		owners []int
		closed fs.FileMode // what nobody may do
	}{
		{policy, Policy, []int{administrator}, 0o022},
		{machine, Machine, []int{administrator}, 0o022},
		// A person's group is often theirs alone.
		{user, User, []int{person, administrator}, 0o002},
	} {
		if f.path == "" {
			continue
		}
		text, err := readFile(f.path, f.owners, f.closed)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var values map[string]Value
		if err == nil {
			values, err = parse(f.path, text)
		}
		problems = append(problems, err)
		layers = append(layers, Layer{Rank: f.rank, Values: values})
	}
	return layers, errors.Join(problems...)
}

// readFile returns what a file says that nobody else may change, or put in place
// of another, or take away.
func readFile(path string, owners []int, closed fs.FileMode) (string, error) {
	folder, err := os.Stat(filepath.Dir(path))
	if err == nil {
		err = kept(filepath.Dir(path), folder, owners, closed, "0755")
	}
	if err != nil {
		return "", err
	}
	// Before it is opened, because opening a pipe would wait for its writer; and
	// after, because it may be another by then.
	info, err := os.Stat(path)
	if err == nil {
		err = trusted(path, info, owners, closed)
	}
	if err != nil {
		return "", err
	}
	f, err := os.Open(path) //nolint:gosec // a fixed path, or in the person's own home
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err = f.Stat(); err == nil {
		err = trusted(path, info, owners, closed)
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return string(text), err
}

// trusted says why a file does not count.
func trusted(path string, info fs.FileInfo, owners []int, closed fs.FileMode) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	return kept(path, info, owners, closed, "0644")
}

// kept says why a file or folder is not kept by one who may say what counts.
func kept(path string, info fs.FileInfo, owners []int, closed fs.FileMode, better string) error {
	if info.Mode().Perm()&closed != 0 {
		return fmt.Errorf("%s may be changed by others (mode %04o): chmod it to %s", path, info.Mode().Perm(), better)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	for _, uid := range owners {
		if ok && int(owner.Uid) == uid {
			return nil
		}
	}
	return fmt.Errorf("%s belongs to somebody who may not say this: chown it to root", path)
}
