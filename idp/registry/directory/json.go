package directory

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// asYAML returns text as a YAML reader can read it. JSON is YAML but for two
// of its escapes: `\/`, and a character in two halves (RFC 8259 §7). Lines
// stay where they are.
func asYAML(text []byte) []byte {
	if !bytes.ContainsRune(text, '\\') || !json.Valid(text) {
		return text
	}
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		// Valid JSON has a backslash in text only, and always something behind.
		switch {
		case text[0] != '\\':
			out, text = append(out, text[0]), text[1:]
		case text[1] == '/':
			out, text = append(out, '/'), text[2:]
		case text[1] == 'u' && utf16.IsSurrogate(unit(text)):
			r, length := halves(text)
			out, text = utf8.AppendRune(out, r), text[length:]
		default:
			out, text = append(out, text[:2]...), text[2:]
		}
	}
	return out
}

// halves returns the character whose first half text begins with, and the
// length of both. A half alone is the replacement character.
func halves(text []byte) (rune, int) {
	if bytes.HasPrefix(text[6:], []byte(`\u`)) {
		if r := utf16.DecodeRune(unit(text), unit(text[6:])); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

// unit returns the number that text begins with, as \uXXXX.
func unit(text []byte) rune {
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
