package main

import (
	"context"
	"strings"
	"testing"
)

// TestAuditor tells the auditor of facts that are not so, and of promises that
// are broken. A rig that sees nothing wrong in them shows nothing.
func TestAuditor(t *testing.T) {
	tr := &trial{program: built(t), report: t.Logf}
	err := tr.in(t.Context(), plan{servers: 1, direct: true, people: 4}, func(w *world) error {
		for _, lie := range []struct {
			rule, want string
			tell       func(ctx context.Context, r result) error
		}{
			{"own rule: a session that lives though it ended is found", "lives again", func(_ context.Context, r result) error {
				w.ledger.sessions[r.session].ended = true
				return nil
			}},
			{"own rule: a token that works though it was revoked is found", "works again", func(_ context.Context, r result) error {
				w.ledger.tokens[r.tokens.access].revoked = true
				return nil
			}},
			{"own rule: a token without a row in the journal is found", "0 rows", func(_ context.Context, r result) error {
				w.ledger.tokens["another"] = &tokenFact{request: r.request, token: "another", family: "no family"}
				return nil
			}},
			{"own rule: a key that is gone is found", "is not there", func(context.Context, result) error {
				w.ledger.madeKey("no key")
				return nil
			}},
			{"own rule: a code that works a second time is found", "redeemed again", func(ctx context.Context, r result) error {
				again, err := w.flow(3, r.request.client).code(ctx)
				w.ledger.codes[again.code].used = true
				return err
			}},
		} {
			t.Run(lie.rule, func(t *testing.T) {
				w.ledger = newLedger()
				if _, err := w.flow(1, w.client("ES256", nil)).run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := w.breakPromises(t.Context()); err != nil {
					t.Fatalf("before anything was wrong: %v", err)
				}
				w.ledger = newLedger()
				r, err := w.flow(1, w.client("ES256", nil)).run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := lie.tell(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				if err := w.breakPromises(t.Context()); err == nil || !strings.Contains(err.Error(), lie.want) {
					t.Errorf("the auditor says %v, want %q", err, lie.want)
				}
			})
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNeedles(t *testing.T) {
	secrets := map[string]string{"80316429": "passcode", "0123456789abcdefXYZ": "code", "0123456789abcdefUVW": "token"}
	for text, want := range map[string]string{
		"nothing here 0123456789abcdefX":             "",
		"at the end 0123456789abcdefXYZ":             "code",
		"0123456789abcdefUVW0123456789abcdefXYZ":     "token code",
		"short ones too: 80316429":                   "passcode",
		"0123456789abcdef0123456789abcdefUVW and on": "token",
	} {
		t.Run("own rule: every secret is found wherever it is: "+text, func(t *testing.T) {
			if got := strings.Join(newNeedles(secrets).find([]byte(text)), " "); got != want {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

func TestPage(t *testing.T) {
	const page = `<title>Which role?</title><form id="s" method="get" action="/login/role"><input type="hidden" name="id" value="1"></form>
<form method="post" action="/login/role"><input type="hidden" name="id" value="a&amp;b"><input type=radio name=role value=R1><input type=radio name=role value=R2></form>
<a href="/other">x</a><a href="lanyard-desk:start?h=H&amp;i=I">open</a>`
	t.Run("own rule: the form that is posted is read, with its choices", func(t *testing.T) {
		f, err := formTo([]byte(page), "/login/role")
		if err != nil || f.fields.Get("id") != "a&b" || strings.Join(f.choices["role"], " ") != "R1 R2" {
			t.Errorf("formTo() = %+v, %v", f, err)
		}
		if _, err := formTo([]byte(page), "/elsewhere"); err == nil || !strings.Contains(err.Error(), "Which role?") {
			t.Errorf("a form that is not there: %v", err)
		}
	})
	t.Run("own rule: the link that starts an agent is read", func(t *testing.T) {
		if h, err := handleIn(link([]byte(page), "lanyard-desk:")); h != "H" || err != nil {
			t.Errorf("handleIn() = %q, %v", h, err)
		}
	})
}

func TestYAML(t *testing.T) {
	t.Run("own rule: settings are written as the server reads them", func(t *testing.T) {
		got := asYAML(map[string]string{"issuer": "x", "policy.keys.a": "1", "policy.aal3_max": "2h", "redis.tls": "", "redis.addresses": "[a]"})
		const want = "issuer: x\npolicy:\n  aal3_max: 2h\n  keys:\n    a: 1\nredis:\n  addresses: [a]\n"
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}
