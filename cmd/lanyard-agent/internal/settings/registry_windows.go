package settings

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/windows/registry"
)

// Layers reads the settings of this computer and of its person.
func Layers(func(string) string) ([]Layer, error) { return layersOf(readValue) }

// readValue reads one value of a key, whichever kind of value it is.
func readValue(at key, name string) (string, error) {
	hive, view := registry.LOCAL_MACHINE, uint32(registry.WOW64_64KEY)
	if at.hive == hivePerson {
		hive = registry.CURRENT_USER
	}
	if at.wow {
		view = registry.WOW64_32KEY
	}
	k, err := registry.OpenKey(hive, at.path, registry.QUERY_VALUE|view)
	if err != nil {
		return "", present(err)
	}
	defer func() { _ = k.Close() }() // it was only read
	_, kind, err := k.GetValue(name, nil)
	if err != nil {
		return "", present(err)
	}
	switch kind {
	case registry.SZ, registry.EXPAND_SZ:
		text, _, err := k.GetStringValue(name)
		if err == nil && kind == registry.EXPAND_SZ {
			text, err = registry.ExpandString(text)
		}
		return text, present(err)
	case registry.MULTI_SZ:
		lines, _, err := k.GetStringsValue(name)
		return strings.Join(lines, ", "), present(err)
	case registry.DWORD, registry.QWORD:
		n, _, err := k.GetIntegerValue(name)
		return strconv.FormatUint(n, 10), present(err)
	}
	return "", errors.New("a value of this kind is not taken: write text (REG_SZ) or a number (REG_DWORD)")
}

// present takes it for no error that something is not there.
func present(err error) error {
	if errors.Is(err, registry.ErrNotExist) {
		return nil
	}
	return err
}
