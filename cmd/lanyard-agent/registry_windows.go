package main

import "golang.org/x/sys/windows/registry"

// hive is a part of the registry, with the view of it that is meant.
type hive struct {
	name string // as people write it
	key  registry.Key
	view uint32
}

// The hives of a computer and of its person.
var (
	machineHive = hive{"HKLM", registry.LOCAL_MACHINE, registry.WOW64_64KEY}
	personHive  = hive{"HKCU", registry.CURRENT_USER, registry.WOW64_64KEY}
)

// text reads a value, and nothing where there is none.
func (h hive) text(path, name string) string {
	k, err := registry.OpenKey(h.key, path, registry.QUERY_VALUE|h.view)
	if err != nil {
		return ""
	}
	defer func() { _ = k.Close() }() // it was only read
	text, _, err := k.GetStringValue(name)
	if err != nil {
		return ""
	}
	return text
}
