package challenge

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const goodHeader = `{"alg":"ES256","typ":"desk-auth+jws","x5t#S256":"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg"}`

func goodPayload(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(aPayload())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func compact(header, payload string) string {
	return encode([]byte(header)) + "." + encode([]byte(payload)) + "." + encode(make([]byte, 64))
}

func TestParseTakes(t *testing.T) {
	for _, tt := range []struct{ rule, old, new string }{
		{"desk-auth/1: as it is", "", ""},
		{"desk-auth/1: members in another order", `{"v":1,`, `{ "pin" : "host", "v":1,`},
		{"desk-auth/1: series is absent", `"series":9,`, ``},
		{"desk-auth/1: an escaped text", `"demo-rp"`, `"demo\u002drp"`},
		{"desk-auth/1: a pin pad", `"host"`, `"pinpad"`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			payload := goodPayload(t)
			if tt.old == `{"v":1,` {
				payload = strings.Replace(payload, `,"pin":"host"`, ``, 1)
			}
			if _, err := Parse([]byte(compact(goodHeader, strings.Replace(payload, tt.old, tt.new, 1)))); err != nil {
				t.Errorf("Parse() = %v", err)
			}
		})
	}
}

// TestParseRefusesPayload changes one thing in a good payload.
func TestParseRefusesPayload(t *testing.T) {
	payload := goodPayload(t)
	for _, tt := range []struct{ rule, old, new string }{
		{"a duplicate member", `"act":"login"`, `"act":"login","act":"login"`},
		{"a duplicate member, escaped", `"act":"login"`, `"act":"login","\u0061ct":"cms"`},
		{"a duplicate member in agent", `"os":"linux"`, `"os":"linux","os":"linux"`},
		{"a duplicate member in card", `"series":9`, `"series":9,"series":9`},
		{"an unknown member", `"v":1`, `"v":1,"admin":true`},
		{"an unknown member in agent", `"os":"linux"`, `"os":"linux","build":"1"`},
		{"an unknown member in card", `"series":9`, `"series":9,"name":"x"`},
		{"an unknown member with an inner duplicate", `"v":1`, `"v":1,"x":{"y":1,"y":2}`},
		{"another spelling", `"act"`, `"Act"`},
		{"trailing data", `"pin":"host"}`, `"pin":"host"}{}`},
		{"a trailing comma", `"pin":"host"}`, `"pin":"host",}`},
		{"not an object", payload, `["v"]`},
		{"null", payload, `null`},
		{"nothing", payload, ``},
		{"a mark of byte order", `{"v"`, "\uFEFF" + `{"v"`},
		{"bytes that are not UTF-8", `demo-rp`, "demo\xff"},
		{"half a surrogate pair", `demo-rp`, `demo\ud800`},
		{"a control character", `demo-rp`, `demo\u0000rp`},
		{"a text too long", `demo-rp`, strings.Repeat("x", maxText+1)},

		{"v: another version", `"v":1`, `"v":2`},
		{"v: a text", `"v":1`, `"v":"1"`},
		{"v: a fraction", `"v":1`, `"v":1.0`},
		{"v: an exponent", `"v":1`, `"v":1e0`},
		{"v: null", `"v":1`, `"v":null`},
		{"act: unknown", `"login"`, `"prescribe"`},
		{"iss: empty", `"iss":"https://id.example"`, `"iss":""`},
		{"iss: null", `"iss":"https://id.example"`, `"iss":null`},
		{"client_id: a number", `"demo-rp"`, `7`},
		{"tx: a list", `"tx-1"`, `["tx-1"]`},
		{"sn: 31 bytes", digestOf('s'), encode(make([]byte, 31))},
		{"cn: 33 bytes", digestOf('c'), encode(make([]byte, 33))},
		{"bsh: padding", digestOf('b'), digestOf('b') + "="},
		{"bsh: a line end", digestOf('b'), digestOf('b') + `\n`},
		{"epk: unused bits", digestOf('k'), digestOf('k')[:42] + "t"},
		{"epk: the other alphabet", digestOf('k'), "+" + digestOf('k')[1:]},
		{"iat: negative", `1790000000`, `-1`},
		{"iat: minus nought", `1790000000`, `-0`},
		{"iat: a leading nought", `1790000000`, `01790000000`},
		{"exp: too great", `1790000300`, `9007199254740992`},
		{"exp: far too great", `1790000300`, `99999999999999999999`},
		{"agent: a text", `{"name":"lanyard-agent","version":"0.1.0","os":"linux"}`, `"lanyard-agent"`},
		{"card.guid: lower case", `0A0A`, `0a0A`},
		{"card.guid: an odd number of digits", `0A0A`, `0A0`},
		{"card.atr: empty", `"3B88"`, `""`},
		{"card.atr: too long", `3B88`, strings.Repeat("3B", 34)},
		{"card.cert_sn: a number", `"01AF"`, `431`},
		{"card.cert_sn: too long", `01AF`, strings.Repeat("01", 21)},
		{"card.series: a text", `"series":9`, `"series":"9"`},
		{"card.series: null", `"series":9`, `"series":null`},
		{"pin: unknown", `"host"`, `"keyboard"`},
	} {
		t.Run("desk-auth/1: "+tt.rule, func(t *testing.T) {
			changed := strings.Replace(payload, tt.old, tt.new, 1)
			if changed == payload {
				t.Fatal("nothing was changed")
			}
			_, err := Parse([]byte(compact(goodHeader, changed)))
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("Parse() = %v, want ErrMalformed", err)
			}
		})
	}
}

func TestParseWantsEveryMember(t *testing.T) {
	var whole map[string]any
	if err := json.Unmarshal([]byte(goodPayload(t)), &whole); err != nil {
		t.Fatal(err)
	}
	agent, card := whole["agent"].(map[string]any), whole["card"].(map[string]any)
	for _, object := range []map[string]any{whole, agent, card} {
		for member, value := range object {
			if member == "series" {
				continue
			}
			t.Run("desk-auth/1: "+member+" must be there", func(t *testing.T) {
				delete(object, member)
				defer func() { object[member] = value }()
				b, err := json.Marshal(whole)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := Parse([]byte(compact(goodHeader, string(b)))); !errors.Is(err, ErrMalformed) {
					t.Errorf("Parse() = %v, want ErrMalformed", err)
				}
			})
		}
	}
}

func TestParseRefusesHeader(t *testing.T) {
	for _, tt := range []struct{ rule, old, new string }{
		{"none", `"ES256"`, `"none"`},
		{"an HMAC", `"ES256"`, `"HS256"`},
		{"alg in another spelling", `"ES256"`, `"es256"`},
		{"another type", `"desk-auth+jws"`, `"JWT"`},
		{"no type", `"typ":"desk-auth+jws",`, ``},
		{"a duplicate alg", `"alg":"ES256"`, `"alg":"ES256","alg":"ES256"`},
		{"a key of its own", `"alg":"ES256"`, `"alg":"ES256","jwk":{}`},
		{"a place to fetch keys", `"alg":"ES256"`, `"alg":"ES256","x5u":"https://evil.example"`},
		{"crit", `"alg":"ES256"`, `"alg":"ES256","crit":["b64"]`},
		{"x5t#S256 too short", `eHh4eHh4`, ``},
	} {
		t.Run("desk-auth/1: header: "+tt.rule, func(t *testing.T) {
			changed := strings.Replace(goodHeader, tt.old, tt.new, 1)
			if changed == goodHeader {
				t.Fatal("nothing was changed")
			}
			if _, err := Parse([]byte(compact(changed, goodPayload(t)))); !errors.Is(err, ErrMalformed) {
				t.Errorf("Parse() = %v, want ErrMalformed", err)
			}
		})
	}
}

func TestParseRefusesCompact(t *testing.T) {
	good := compact(goodHeader, goodPayload(t))
	parts := strings.Split(good, ".")
	for rule, jws := range map[string]string{
		"nothing":             "",
		"two parts":           parts[0] + "." + parts[1],
		"four parts":          good + ".",
		"no signature":        parts[0] + "." + parts[1] + ".",
		"no header":           "." + parts[1] + "." + parts[2],
		"padding":             parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"a line end":          good + "\n",
		"a line end inside":   parts[0] + "." + parts[1][:8] + "\r\n" + parts[1][8:] + "." + parts[2],
		"unused bits":         parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + "B",
		"16 kB and one byte":  parts[0] + "." + parts[1] + "." + strings.Repeat("A", MaxSize+1-len(parts[0])-len(parts[1])-2),
		"JSON, not compact":   `{"payload":"","signatures":[]}`,
		"very deep nesting":   compact(goodHeader, strings.Repeat("[", 9000)),
		"very deep in a part": compact(goodHeader, `{"v":`+strings.Repeat("[", 4000)+strings.Repeat("]", 4000)+`}`),
	} {
		t.Run("RFC 7515 §7.1: "+rule, func(t *testing.T) {
			if _, err := Parse([]byte(jws)); !errors.Is(err, ErrMalformed) {
				t.Errorf("Parse() = %v, want ErrMalformed", err)
			}
		})
	}
	t.Run("RFC 7515 §7.1: 16 kB", func(t *testing.T) {
		jws := parts[0] + "." + parts[1] + "." + strings.Repeat("A", MaxSize-len(parts[0])-len(parts[1])-2)
		if len(jws)%4 == 1 || len(jws) != MaxSize {
			t.Fatalf("the test's message has %d bytes", len(jws))
		}
		if _, err := Parse([]byte(jws)); err != nil && strings.Contains(err.Error(), "too long") {
			t.Errorf("Parse() = %v", err)
		}
	})
}

func TestErrorsAreQuiet(t *testing.T) {
	const mark = "SECRETSECRET"
	for _, payload := range []string{
		strings.Replace(goodPayload(t), `"v":1`, `"v":1,"`+mark+`":1`, 1),
		strings.Replace(goodPayload(t), `"demo-rp"`, `"`+mark+`\u0000"`, 1),
		strings.Replace(goodPayload(t), `"v":1`, `"v":"`+mark+`"`, 1),
		mark,
	} {
		_, err := Parse([]byte(compact(goodHeader, payload)))
		if err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("Parse() = %v, want an error that repeats nothing", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	payload := goodPayload(f)
	for _, seed := range []string{
		compact(goodHeader, payload),
		compact(goodHeader, strings.Replace(payload, `"series":9,`, ``, 1)),
		compact(goodHeader, strings.Replace(payload, `"v":1`, `"v":1,"v":1`, 1)),
		compact(goodHeader, strings.Replace(payload, `"v":1`, `"v":1.0`, 1)),
		compact(`{}`, `{}`), "..", "",
	} {
		f.Add(seed)
	}
	// Also the three parts apart, so that the fuzzer need not write base64url.
	f.Fuzz(func(t *testing.T, in string) {
		check(t, in)
		check(t, compact(goodHeader, in))
		check(t, compact(in, payload))
	})
}

// check asks that what Parse takes is a message that Sign could have made:
// writing it again and reading that gives the same.
func check(t *testing.T, jws string) {
	m, err := Parse([]byte(jws))
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("Parse() = %v, want ErrMalformed", err)
		}
		return
	}
	if !strings.HasPrefix(jws, string(m.input)+".") {
		t.Fatal("what is verified is not what came")
	}
	header, err1 := json.Marshal(m.Header)
	payload, err2 := json.Marshal(m.Payload)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	written := compact(string(header), string(payload))
	if len(written) > MaxSize {
		return // Go escapes more than it must
	}
	again, err := Parse([]byte(written))
	if err != nil || again.Header != m.Header || again.Payload != m.Payload {
		t.Fatalf("written again it reads %+v, %v; was %+v", again, err, m)
	}
}
