package challenge

import (
	"bytes"
	"errors"
)

// errMembers says that a text is no object whose members all readers would
// find alike.
var errMembers = errors.New("not an object with each member once")

// Members splits an object into its members: names and values as they are
// written, the values parts of raw. raw must be valid JSON (json.Valid says so,
// and so does whoever has decoded it): what is valid need only be cut.
//
// encoding/json would take the last of two members with one name, and any
// spelling of it. Here a name that comes twice is refused, and so is one that is
// written with a backslash, which ours never need.
func Members(raw []byte) (map[string][]byte, error) {
	raw = bytes.TrimLeft(raw, space)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, errMembers
	}
	members := make(map[string][]byte, 16)
	for raw = next(raw[1:]); len(raw) > 0 && raw[0] == '"'; raw = next(raw) {
		name := raw[1 : valueEnd(raw)-1]
		raw = next(raw[len(name)+2:])
		value := raw[:valueEnd(raw)]
		raw = raw[len(value):]
		if _, twice := members[string(name)]; twice || bytes.IndexByte(name, '\\') >= 0 {
			return nil, errMembers
		}
		members[string(name)] = value
	}
	return members, nil
}

// space is what JSON takes for space, and marks are what stands between names
// and values besides.
const (
	space = " \t\r\n"
	marks = space + ":,"
)

func next(raw []byte) []byte { return bytes.TrimLeft(raw, marks) }

// valueEnd returns where the value ends that valid JSON begins with.
func valueEnd(raw []byte) int {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i // of what the value stands in
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(raw)
}
