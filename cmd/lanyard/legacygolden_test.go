package main

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// canonical is XML as it is compared: without the space between its elements,
// and in the one form that all ways to write it have.
func canonical(t *testing.T, text string) string {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var tidy func(*etree.Element)
	tidy = func(e *etree.Element) {
		for _, c := range e.ChildElements() {
			tidy(c)
		}
		for _, token := range append([]etree.Token{}, e.Child...) {
			if s, ok := token.(*etree.CharData); ok && strings.TrimSpace(s.Data) == "" && len(e.ChildElements()) > 0 {
				e.RemoveChild(token)
			}
		}
	}
	tidy(doc.Root())
	b, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(doc.Root())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// line breaks canonical XML where a difference can be seen.
func perLine(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "><", ">\n<"), "\n")
}

// TestLegacyGolden plays conversations that were written down from what is known
// of the old service. What is random or a time stands in braces there.
func TestLegacyGolden(t *testing.T) {
	s := startLegacy(t, nil)
	a := s.legacyAgent(oneRole, card(oneRole))
	base, err := url.Parse(s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{"BASE": s.issuer, "HOST": base.Hostname()}
	fill := func(text string) string {
		for name, value := range known {
			text = strings.ReplaceAll(text, "{"+name+"}", value)
		}
		return text
	}
	for _, step := range []struct {
		name, method, path string
		before             func()
	}{
		{"1-authactivate", http.MethodPost, "/login/authactivate", nil},
		{"2-authvalidate", http.MethodPost, "/login/authvalidate", func() {
			known["RESPONSE"], err = a.Sign(known["CHALLENGE"])
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"3-roleassertion-before", http.MethodGet, "/saml/RoleAssertion?token={QUERY}", func() { known["QUERY"] = url.QueryEscape(known["TICKET"]) }},
		{"4-roleselection", http.MethodGet, "/saml/RoleSelectionGP.jsp?token={QUERY}&selectedRoleUid=555000000201&ssbMode=0&fallbackStatus=0&gacVersion=10.0.0.1", nil},
		{"5-roleassertion", http.MethodGet, "/saml/RoleAssertion?token={QUERY}", nil},
		{"6-authlogout", http.MethodPost, "/login/authlogout", nil},
		{"7-roleassertion-after", http.MethodGet, "/saml/RoleAssertion?token={QUERY}", nil},
	} {
		if step.before != nil {
			step.before()
		}
		var body io.Reader
		if step.method == http.MethodPost {
			body = strings.NewReader(fill(conversation(t, step.name+".request.xml")))
		}
		req, err := http.NewRequestWithContext(t.Context(), step.method, s.issuer+fill(step.path), body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", "Mozilla/4.0(compatible;IE;GACv2. 4. 10. 0)")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		_, err = got.ReadFrom(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/xml") {
			t.Fatalf("%s: %d %s %v\n%s", step.name, resp.StatusCode, resp.Header.Get("Content-Type"), err, got.String())
		}
		t.Run("CIS1: "+step.name+" is answered to the letter", func(t *testing.T) {
			want := perLine(canonical(t, fill(conversation(t, step.name+".response.xml"))))
			said := perLine(canonical(t, got.String()))
			for i := range max(len(want), len(said)) {
				w, g := "nothing", "nothing"
				if i < len(want) {
					w = want[i]
				}
				if i < len(said) {
					g = said[i]
				}
				if !learned(w, g, known) {
					t.Errorf("line %d is\n%s\nand should be\n%s", i+1, g, w)
				}
			}
		})
	}
}

// conversation reads one message of a conversation.
func conversation(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "legacy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var brace = regexp.MustCompile(`\\\{([A-Z]+)\\\}`)

// learned says whether a line is as it was written down, and keeps what stands
// where that has a name in braces.
func learned(want, got string, known map[string]string) bool {
	if want == got {
		return true
	}
	var names []string
	pattern := brace.ReplaceAllStringFunc(regexp.QuoteMeta(want), func(m string) string {
		name := brace.FindStringSubmatch(m)[1]
		names = append(names, name)
		switch name {
		case "INSTANT":
			return `(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)`
		case "ID": // of nothing that comes again
			return `(_[0-9a-f]{32})`
		case "TICKET":
			return `(AQIC[A-Za-z0-9+/]{43}=@AAJTSQACMDE=#)`
		}
		return `([A-Za-z0-9+/]+=*)`
	})
	m := regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(got)
	if m == nil {
		return false
	}
	var instants []time.Time
	for i, name := range names {
		switch name {
		case "INSTANT":
			at, err := time.Parse(time.RFC3339, m[i+1])
			if err != nil {
				return false
			}
			instants = append(instants, at)
		case "ID":
		default:
			known[name] = m[i+1]
		}
	}
	// An assertion is good from three minutes before its issue until one after.
	return !strings.HasPrefix(want, "<saml:Conditions") || len(instants) == 2 && instants[1].Sub(instants[0]) == 4*time.Minute
}
