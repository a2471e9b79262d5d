package main

import (
	"strings"

	"golang.org/x/sys/windows/registry"
)

// hive is a part of the registry, with the view of it that is meant.
type hive struct {
	name string // as people write it
	key  registry.Key
	view uint32
}

// The hives of a computer and of its person. What programs of 32 bits say
// stands apart.
var (
	machineHive = hive{"HKLM", registry.LOCAL_MACHINE, registry.WOW64_64KEY}
	smallHive   = hive{"HKLM", registry.LOCAL_MACHINE, registry.WOW64_32KEY}
	personHive  = hive{"HKCU", registry.CURRENT_USER, registry.WOW64_64KEY}
)

// mostSubkeys bounds how many keys are looked at below one.
const mostSubkeys = 2000

// text reads a value, and nothing where there is none. A list is its items, a
// line each.
func (h hive) text(path, name string) string {
	k, err := registry.OpenKey(h.key, path, registry.QUERY_VALUE|h.view)
	if err != nil {
		return ""
	}
	defer func() { _ = k.Close() }() // it was only read
	if s, _, err := k.GetStringValue(name); err == nil {
		return s
	}
	lines, _, _ := k.GetStringsValue(name)
	return strings.Join(lines, "\n")
}

// texts reads every value of a key, as a list of a policy is written.
func (h hive) texts(path string) []string {
	k, err := registry.OpenKey(h.key, path, registry.QUERY_VALUE|h.view)
	if err != nil {
		return nil
	}
	defer func() { _ = k.Close() }() // it was only read
	names, _ := k.ReadValueNames(mostSubkeys)
	var all []string
	for _, name := range names {
		if s, _, err := k.GetStringValue(name); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// below lists the keys below one.
func (h hive) below(path string) []string {
	k, err := registry.OpenKey(h.key, path, registry.ENUMERATE_SUB_KEYS|h.view)
	if err != nil {
		return nil
	}
	defer func() { _ = k.Close() }() // it was only read
	names, _ := k.ReadSubKeyNames(mostSubkeys)
	return names
}
