package directory

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
	"go.yaml.in/yaml/v3"
)

// Certificate says what certificate a development card carries: "valid",
// "expired", "revoked", or "expires_in: DAYS" for one that ends in so many
// days.
//
// Block YAML cannot hold `certificate: expires_in: 12`, so it is read both as
// quoted text, "expires_in: 12", and as a mapping, {expires_in: 12}, and
// written as a mapping.
type Certificate string

const expiresIn = "expires_in"

// ExpiresIn returns in how many days the certificate ends, and false if the
// document does not say.
func (c Certificate) ExpiresIn() (days int, ok bool) {
	text, ok := strings.CutPrefix(string(c), expiresIn+":")
	if !ok {
		return 0, false
	}
	days, err := strconv.Atoi(strings.TrimSpace(text))
	return days, err == nil && days >= 0 && days <= 3650
}

func (c *Certificate) read(r *reader, key string, n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		var m struct {
			Days int `doc:"expires_in,required,range=0..3650"`
		}
		before := r.problems.count()
		r.mapping(reflect.ValueOf(&m).Elem(), key, n)
		if r.problems.count() == before {
			*c = Certificate(expiresIn + ": " + strconv.Itoa(m.Days))
		}
		return
	}
	text, ok := r.word(key, n)
	if !ok {
		return
	}
	if days, ok := Certificate(text).ExpiresIn(); ok {
		*c = Certificate(expiresIn + ": " + strconv.Itoa(days))
		return
	}
	known := []string{"valid", "expired", "revoked", expiresIn + ": 12"}
	if !slices.Contains(known, text) {
		r.fail(n, "%q: unknown value %s: did you mean %q?", key, shown(text), Nearest(text, known))
		return
	}
	*c = Certificate(text)
}

func (c *Certificate) write() *yaml.Node {
	if days, ok := c.ExpiresIn(); ok {
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle,
			Content: []*yaml.Node{plain(expiresIn), plain(strconv.Itoa(days))}}
	}
	return plain(string(*c))
}

// SecretHash is a client's secret in the form of idp.HashSecret. The key
// `secret` takes it in clear; it is never written so.
type SecretHash string

func (s *SecretHash) read(r *reader, key string, n *yaml.Node) {
	text, ok := r.word(key, n)
	switch {
	case !ok || text == "": // an empty secret must never open anything
	case key == "secret":
		*s = SecretHash(idp.HashSecret(text))
	case !isHash(text):
		r.fail(n, "%q: sha256: and 43 letters of base64url are wanted here", key) // never shown: it may be a secret
	default:
		*s = SecretHash(text)
	}
}

func (s *SecretHash) write() *yaml.Node {
	if *s == "" {
		return nil
	}
	return quoted(string(*s))
}

func isHash(text string) bool {
	b64, ok := strings.CutPrefix(text, "sha256:")
	sum, err := base64.RawURLEncoding.Strict().DecodeString(b64)
	return ok && err == nil && len(sum) == 32
}

// KeySet is a JSON Web Key Set of public keys, RFC 7517, as JSON with its
// members in order. Empty: none.
type KeySet string

// private are the members of a key that only its owner may know.
// RFC 7518 §6.2.2, §6.3.2, §6.4.1.
var private = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

func (k *KeySet) read(r *reader, key string, n *yaml.Node) {
	before := r.problems.count()
	set, ok := r.json(key, n).(map[string]any)
	keys, isList := set["keys"].([]any)
	if r.problems.count() > before {
		return
	}
	if !ok || !isList {
		r.fail(n, "%q: a JSON Web Key Set is wanted here, {keys: [...]}", key)
		return
	}
	for _, one := range keys {
		members, _ := one.(map[string]any)
		if kty, _ := members["kty"].(string); kty == "" {
			r.fail(n, "%q: a key has no \"kty\"", key)
			return
		}
		for _, p := range private {
			if _, ok := members[p]; ok {
				r.fail(n, "%q: a private key has no place in the directory", key)
				return
			}
		}
	}
	text, err := json.Marshal(set)
	if err != nil {
		r.fail(n, "%q: %v", key, err)
		return
	}
	*k = KeySet(text)
}

// json returns n as encoding/json would. Every word is text but true, false
// and null, so that a kid of 0001 stays one.
func (r *reader) json(key string, n *yaml.Node) any {
	if !r.plainNode(n, key) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, ok := r.word(key, n.Content[i])
			if !ok || !r.plainNode(n.Content[i], key) {
				continue
			}
			if _, twice := m[name]; twice {
				r.fail(n.Content[i], "%s is given twice", shown(name))
			}
			m[name] = r.json(name, n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = r.json(key, item)
		}
		return list
	}
	if absent(n) {
		return nil
	}
	text, _ := r.word(key, n)
	if n.Style == 0 && (text == "true" || text == "false") {
		return text == "true"
	}
	return text
}

func (k *KeySet) write() *yaml.Node {
	var set any
	switch {
	case *k == "":
		return nil
	case json.Unmarshal([]byte(*k), &set) != nil:
		return quoted(string(*k)) // not of Read; it will say so
	}
	return jsonNode(set)
}

// MarshalJSON writes the set as it is.
func (k KeySet) MarshalJSON() ([]byte, error) {
	if k == "" {
		return []byte("null"), nil
	}
	return []byte(k), nil
}

// UnmarshalJSON takes JSON as it is: what it means Read alone says.
func (k *KeySet) UnmarshalJSON(text []byte) error {
	*k = KeySet(text)
	if string(text) == "null" || string(text) == `""` {
		*k = ""
	}
	return nil
}

// Record is JSON that a room keeps with an authenticator, secrets sealed or not:
// the document does not say. It is read and written as base64 text.
type Record string

func (c *Record) read(r *reader, key string, n *yaml.Node) {
	text, ok := r.word(key, n)
	if !ok || text == "" {
		return
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || !json.Valid(plain) {
		r.fail(n, "%q: JSON in base64 is wanted here", key) // never shown: it may be a secret
		return
	}
	*c = Record(plain)
}

func (c *Record) write() *yaml.Node {
	if *c == "" {
		return nil
	}
	return quoted(base64.StdEncoding.EncodeToString([]byte(*c)))
}
