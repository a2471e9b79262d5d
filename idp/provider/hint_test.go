package provider

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
)

func TestIDTokenHint(t *testing.T) {
	p := aProvider(t)
	const uid = "555000000101"
	for _, tt := range []struct {
		rule   string
		change func(*idp.IDToken)
		ok     bool
	}{
		{"OIDC Core §3.1.2.1: an ID token that the client got here", func(*idp.IDToken) {}, true},
		{"OIDC Core §3.1.2.1: one of another issuer", func(c *idp.IDToken) { c.Issuer = "https://other.example" }, false},
		{"OIDC Core §3.1.2.1: one of another client", func(c *idp.IDToken) { c.Audience = "k" }, false},
		{"OIDC Core §3.1.2.1: one of nobody", func(c *idp.IDToken) { c.Subject = "c" }, false},
		{"own rule: one of nearly 16 kB", func(c *idp.IDToken) { c.Nonce = strings.Repeat("n", 11<<10) }, true},
		{"own rule: one of more than 16 kB", func(c *idp.IDToken) { c.Nonce = strings.Repeat("n", 12<<10) }, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			claims := idp.IDToken{Issuer: p.Issuer, Audience: "c", Subject: uid, Expires: 1, AuthTime: 1}
			tt.change(&claims)
			hint, err := p.sign("ES256", claims)
			if err != nil {
				t.Fatal(err)
			}
			var l idp.Login
			err = p.readIDTokenHint(&l, idp.Client{ID: "c"}, url.Values{"id_token_hint": {hint}})
			if named := l.Hint == uid && l.Only; (err == nil) != tt.ok || named != tt.ok {
				t.Errorf("a hint of %d characters: %v, it names its person: %v; want it taken: %v", len(hint), err, named, tt.ok)
			}
		})
	}
}
