package idp

import (
	"errors"
	"slices"
	"testing"
)

func TestRedirect(t *testing.T) {
	const registered = "https://rp.example/callback"
	web := Client{AuthMethod: SecretBasic, RedirectURIs: []string{registered, "http://127.0.0.1/cb"}, PostLogoutRedirectURIs: []string{registered, "http://127.0.0.1/cb"}}
	native := Client{AuthMethod: NoAuth, RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb"}}
	for _, tt := range []struct {
		rule   string
		client Client
		ok     []string
		no     []string
	}{
		{"P1, RFC 9700 §2.1: to the letter", web, []string{registered, "http://127.0.0.1/cb"}, []string{
			"", registered + "/", registered + "?", registered + "?a=1", registered + "#", registered + "#f", registered + " ", registered + "\t",
			"https://rp.example/Callback", "https://RP.example/callback", "HTTPS://rp.example/callback", "http://rp.example/callback",
			"https://rp.example:443/callback", "https://rp.example:8443/callback", "https://rp.example//callback",
			"https://rp.example/x/../callback", "https://rp.example/./callback", "https://rp.example/callback/..;/x",
			"https://rp.example/%63allback", "https://rp.example%2ecallback", "https://rp.example/callback%00",
			"https://rp.example@evil.example/callback", "https://evil.example@rp.example/callback", "https://evil.example/https://rp.example/callback",
			`https://rp.example\@evil.example/callback`, `https:\\rp.example\callback`, "//rp.example/callback", "/callback", "rp.example/callback",
			"https://rp.example.evil.example/callback", "https://evilrp.example/callback", "https://rp.examp1e/callback", "https://rp.éxample/callback",
			"javascript:alert(1)", "data:text/html,x", "http://127.0.0.1:9/cb", "http://localhost/cb",
		}},
		{"P1, P17, RFC 8252 §7.3: only a native application's loopback may vary its port", native, []string{
			"http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:51004/cb", "http://127.0.0.1:65535/cb", "http://[::1]:51004/cb", "http://localhost/cb",
		}, []string{
			"http://127.0.0.1:/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:00080/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:999999/cb",
			"http://127.0.0.1:80@evil.example/cb", "http://127.0.0.1:x/cb", "http://127.0.0.1:+80/cb", "http://127.0.0.1:80/cb/", "http://127.0.0.1:80/cb?x",
			"http://127.0.0.1.evil.example/cb", "http://127.0.0.1:80:80/cb", "http://127.0.0.2/cb", "http://127.evil.example/cb",
			"https://127.0.0.1:80/cb", "http://localhost:80/cb", "http://[::1]:/cb", "http://[::2]:80/cb", "http://0177.0.0.1/cb", "http://127.0.0.1:80/x/cb",
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, uri := range tt.ok {
				if err := tt.client.Redirect(uri); err != nil {
					t.Errorf("Redirect(%q) = %v, want nil", uri, err)
				}
			}
			for _, uri := range tt.no {
				if err := tt.client.Redirect(uri); !errors.Is(err, ErrRedirect) {
					t.Errorf("Redirect(%q) = %v, want ErrRedirect", uri, err)
				}
				if err := tt.client.PostLogoutRedirect(uri); !errors.Is(err, ErrRedirect) {
					t.Errorf("PostLogoutRedirect(%q) = %v, want ErrRedirect", uri, err)
				}
			}
		})
	}
}

func TestAllows(t *testing.T) {
	c := Client{Scopes: []string{"openid", "profile"}}
	for _, tt := range []struct {
		rule   string
		scopes []string
		want   []string
		err    error
	}{
		{"OIDC Core §3.1.2.1: openid must be there", []string{"profile"}, nil, ErrScope},
		{"OIDC Core §3.1.2.1: a scope that nobody knows is passed over", []string{"phone", "openid"}, []string{"openid"}, nil},
		{"P7: a scope that the client is not registered for", []string{"openid", "nationalrbacaccess"}, nil, ErrScope},
		{"own rule: once each, in the client's order", []string{"profile", "openid", "profile"}, []string{"profile", "openid"}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := c.Allows(tt.scopes)
			if !errors.Is(err, tt.err) || err == nil && !slices.Equal(got, tt.want) {
				t.Errorf("Allows(%v) = %v, %v; want %v, %v", tt.scopes, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestCheckSecret(t *testing.T) {
	t.Run("RFC 6749 §2.3.1: the right secret and no other", func(t *testing.T) {
		c := Client{SecretHash: HashSecret("secret")}
		if !c.CheckSecret("secret") || c.CheckSecret("Secret") || c.CheckSecret("") {
			t.Error("CheckSecret is wrong")
		}
		if (Client{}).CheckSecret("") {
			t.Error("a client without a secret takes the empty one")
		}
	})
}
