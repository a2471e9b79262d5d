package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// mayImport says which packages each of ours may import outside tests: ours
// before the plus, those of other people after it. * is every one of ours.
// ARCHITECTURE.md shows the same table, and says why.
const mayImport = `
cmd/lanyard                           -> * + chi cobra go-jose go-redis miniredis otel otelpgx pflag pgx yaml
cmd/lanyard/demo                      -> idp/registry/directory web + go-jose go-oidc oauth2
cmd/lanyard/legacyclient              ->
cmd/lanyard-bench                     -> authenticators authenticators/passkey/testkey authenticators/smartcard/cardca authenticators/smartcard/challenge authenticators/smartcard/virtualcard idp idp/cis1 idp/post/mailbox idp/registry idp/registry/directory store/conformance/servers store/postgres store/redis store/vault + go-jose go-redis pgx x/net x/sys
cmd/lanyard-agent                     -> cmd/lanyard-agent/internal/card cmd/lanyard-agent/internal/desk cmd/lanyard-agent/internal/gateway cmd/lanyard-agent/internal/prompt cmd/lanyard-agent/internal/settings + cobra systray x/sys
cmd/lanyard-agent/internal/card       -> authenticators/smartcard/virtualcard + purego x/sys
cmd/lanyard-agent/internal/card/virtualreader -> authenticators/smartcard/virtualcard
cmd/lanyard-agent/internal/desk       -> authenticators/smartcard/challenge cmd/lanyard-agent/internal/card cmd/lanyard-agent/internal/gateway cmd/lanyard-agent/internal/prompt + go-jose x/sys
cmd/lanyard-agent/internal/gateway    -> authenticators/smartcard/challenge
cmd/lanyard-agent/internal/prompt     -> + x/sys x/term
cmd/lanyard-agent/internal/settings   -> cmd/lanyard-agent/internal/desk + x/sys
api                                   -> api/ops authenticators authenticators/federated authenticators/passkey authenticators/smartcard authenticators/totp idp idp/registry web + chi ulid x/time
api/account                           -> api authenticators authenticators/passkey authenticators/totp idp web + chi
api/apply                             -> api idp idp/registry web + chi
api/cis1                              -> api authenticators authenticators/smartcard idp idp/cis1 web + chi etree goxmldsig
api/claim                             -> api authenticators authenticators/passkey authenticators/totp idp idp/registry web + chi
api/desk                              -> api authenticators authenticators/smartcard authenticators/smartcard/challenge idp web + chi go-jose
api/dev                               -> api authenticators authenticators/smartcard authenticators/smartcard/cardca authenticators/smartcard/virtualagent authenticators/smartcard/virtualcard idp idp/registry/directory web + chi
api/enrol                             -> api authenticators authenticators/passkey idp idp/registry web + chi
api/ops                               -> idp + prometheus
api/registry                          -> api authenticators idp idp/registry idp/registry/directory + chi
api/ra                                -> api authenticators idp idp/registry idp/registry/directory web + chi
idp                                   -> authenticators
idp/backchannel                       -> idp
idp/cis1                              -> idp authenticators
idp/post                              -> idp + go-mail
idp/post/mailbox                      ->
idp/provider                          -> idp + zitadel/oidc go-jose chi cors
idp/registry                          -> idp idp/registry/directory authenticators
idp/registry/directory                -> idp authenticators + yaml
authenticators                        ->
authenticators/contract               -> authenticators
authenticators/federated              -> authenticators + go-oidc oauth2
authenticators/smartcard              -> authenticators authenticators/smartcard/challenge authenticators/smartcard/cms authenticators/smartcard/revocation
authenticators/smartcard/challenge    ->
authenticators/smartcard/cms          -> + pkcs7
authenticators/smartcard/virtualcard  ->
authenticators/smartcard/virtualagent -> authenticators/smartcard authenticators/smartcard/challenge authenticators/smartcard/virtualcard
authenticators/smartcard/cardca       -> + x/crypto
authenticators/smartcard/revocation   -> + x/crypto
authenticators/totp                   -> authenticators + qr x/crypto x/text
authenticators/passkey                -> authenticators + go-jose go-webauthn
authenticators/passkey/testkey        -> + go-webauthn
store/conformance                     -> idp idp/registry idp/registry/directory authenticators authenticators/smartcard
store/conformance/servers             -> + pgx go-redis
store/memory                          -> idp idp/registry idp/registry/directory authenticators authenticators/smartcard
store/postgres                        -> idp idp/cis1 idp/registry idp/registry/directory authenticators authenticators/smartcard migrations + pgx goose go-jose
store/redis                           -> idp authenticators authenticators/smartcard + go-redis
store/vault                           -> idp + tink crypto11
migrations                            ->
web                                   -> + x/text
`

// others are the modules of other people, by the names that mayImport gives
// them. A module that is not here is one that nobody has decided on.
var others = map[string]string{
	"chi":          "github.com/go-chi/chi/",
	"cobra":        "github.com/spf13/cobra",
	"crypto11":     "github.com/ThalesGroup/crypto11",
	"cors":         "github.com/rs/cors",
	"etree":        "github.com/beevik/etree",
	"go-jose":      "github.com/go-jose/go-jose/",
	"go-mail":      "github.com/wneessen/go-mail/",
	"go-oidc":      "github.com/coreos/go-oidc/",
	"go-redis":     "github.com/redis/go-redis/",
	"go-webauthn":  "github.com/go-webauthn/",
	"goose":        "github.com/pressly/goose/",
	"goxmldsig":    "github.com/russellhaering/goxmldsig",
	"miniredis":    "github.com/alicebob/miniredis/",
	"oauth2":       "golang.org/x/oauth2",
	"otel":         "go.opentelemetry.io/",
	"otelpgx":      "github.com/exaring/otelpgx",
	"pflag":        "github.com/spf13/pflag/",
	"pgx":          "github.com/jackc/pgx/",
	"pkcs7":        "github.com/smallstep/pkcs7",
	"prometheus":   "github.com/prometheus/",
	"purego":       "github.com/ebitengine/purego",
	"qr":           "rsc.io/qr/",
	"systray":      "fyne.io/systray",
	"tink":         "github.com/tink-crypto/tink-go/",
	"ulid":         "github.com/oklog/ulid/",
	"x/crypto":     "golang.org/x/crypto/",
	"x/net":        "golang.org/x/net/",
	"x/sys":        "golang.org/x/sys/",
	"x/term":       "golang.org/x/term",
	"x/text":       "golang.org/x/text/",
	"x/time":       "golang.org/x/time/",
	"yaml":         "go.yaml.in/yaml/",
	"zitadel/oidc": "github.com/zitadel/oidc/",
}

// What may stand at the top of the repository, beside hidden files and bin,
// which holds what was built.
var (
	topFolders = []string{"api", "authenticators", "bin", "cmd", "deploy", "docs", "idp", "migrations", "store", "web"}
	topFiles   = []string{"ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "NOTICE", "README.md", "SECURITY.md", "go.mod", "go.sum"}
)

// homeless are names that say only that something was not named yet.
var homeless = []string{"base", "common", "helper", "helpers", "lib", "misc", "model", "models", "pkg", "shared", "util", "utils"}

const (
	root   = "../.."
	module = "github.com/lanyard-id/lanyard/"
	spec   = "idp/SPEC.md"
)

// listed is a package as `go list` tells of it.
type listed struct {
	ImportPath string
	Doc        string // the first sentence of the package's comment
	Imports    []string
}

func (p listed) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []listed {
	t.Helper()
	return packagesOn(t, "linux")
}

// packagesOn is what there is of the packages on another system.
func packagesOn(t *testing.T, system string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports", "./...")
	cmd.Dir, cmd.Stderr, cmd.Env = root, os.Stderr, append(os.Environ(), "GOOS="+system)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("read what go list says: %v", err)
		}
		if !strings.Contains(p.ImportPath, "/node_modules/") {
			all = append(all, p)
		}
	}
}

// allowed reads mayImport into what each package may import.
func allowed() map[string][]string {
	table := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(mayImport)) {
		name, list, _ := strings.Cut(line, "->")
		table[strings.TrimSpace(name)] = slices.DeleteFunc(strings.Fields(list), func(s string) bool { return s == "+" })
	}
	return table
}

func TestLayoutImports(t *testing.T) {
	table := allowed()
	onWindows := map[string][]string{} // the agent at the desk runs there too
	for _, p := range packagesOn(t, "windows") {
		onWindows[p.ImportPath] = p.Imports
	}
	for _, p := range packages(t) {
		may, ok := table[p.name()]
		if !ok {
			t.Errorf("package %s is not on the import map: say in mayImport and in ARCHITECTURE.md what it may import", p.name())
		}
		delete(table, p.name())
		for _, imported := range slices.Compact(slices.Sorted(slices.Values(append(p.Imports, onWindows[p.ImportPath]...)))) {
			if short := shortName(imported); ok && short != "" && !slices.Contains(may, short) &&
				(!strings.HasPrefix(imported, module) || !slices.Contains(may, "*")) {
				t.Errorf("%s imports %s, which the import map does not allow: is there a smaller way? If not, add %q to its line in mayImport and in ARCHITECTURE.md, and say why in the commit", p.name(), imported, short)
			}
		}
	}
	for name := range table {
		t.Errorf("the import map has a line for %s, which is no package: take it out of mayImport and ARCHITECTURE.md", name)
	}
	drawn := squeeze(text(t, "ARCHITECTURE.md"))
	for line := range strings.Lines(strings.TrimSpace(mayImport)) {
		if !strings.Contains(drawn, "\n"+squeeze(line)+"\n") {
			t.Errorf("ARCHITECTURE.md lacks the line of the import map %q", squeeze(line))
		}
	}
}

// shortName returns what mayImport calls an imported package; "" is the
// standard library.
func shortName(imported string) string {
	if name, ours := strings.CutPrefix(imported, module); ours {
		return name
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return ""
	}
	for short, prefix := range others {
		if strings.HasPrefix(imported+"/", strings.TrimSuffix(prefix, "/")+"/") {
			return short
		}
	}
	return imported
}

// squeeze makes one space of several, line by line.
func squeeze(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestLayoutPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.Doc, "Package ") && !strings.HasPrefix(p.Doc, "Command ") {
			t.Errorf("package %s has no comment: say in doc.go, or in the file of its name, what it is for and what it must not know", p.name())
		}
	}
}

// row is a row of SPEC.md.
type row struct{ rule, says, kept string }

var rowLine = regexp.MustCompile(`(?m)^\| (.+?) \| (.+) \| (.+) \|$`)

func rows(t *testing.T) []row {
	t.Helper()
	var all []row
	for _, m := range rowLine.FindAllStringSubmatch(text(t, spec), -1) {
		if m[1] != "Rule" && !strings.HasPrefix(m[1], "---") {
			all = append(all, row{m[1], m[2], m[3]})
		}
	}
	return all
}

// reference is a test name's beginning that points outside this repository, or
// at a row of our own: it must have a row.
var reference = regexp.MustCompile(`^((RFC|OIDC|OAuth|NIST|SP|ISO|ASVS|CSP) .+|[ABDFPSWX]\d{1,2}|CIS2|desk-auth/\d+)$`)

func TestLayoutSpec(t *testing.T) {
	tested := rulesTested(t)
	listed := map[string]bool{}
	for _, r := range rows(t) {
		if listed[r.rule] {
			t.Errorf("%s has two rows for %s: make one of them", spec, r.rule)
		}
		listed[r.rule] = true
		if tested[r.rule] == "" {
			t.Errorf("no test is named after %s: begin a subtest's name with %q", r.rule, r.rule+": ")
		}
		paths := quotedPath.FindAllStringSubmatch(r.kept, -1)
		if len(paths) == 0 {
			t.Errorf("the row of %s names no file that keeps it, such as `idp/login.go`", r.rule)
		}
		for _, path := range paths {
			if !exists(path[1]) {
				t.Errorf("the row of %s says it is kept in %s, which is not there", r.rule, path[1])
			}
		}
	}
	if len(listed) == 0 {
		t.Errorf("%s has no rows", spec)
	}
	for _, rule := range slices.Sorted(maps.Keys(tested)) {
		if reference.MatchString(rule) && !listed[rule] {
			t.Errorf("%s has a test named after %s, which has no row in %s: write the row", tested[rule], rule, spec)
		}
	}
}

// rulesTested returns the rules that tests are named after, each with a file
// where. A name is "rule: what it shows" or "rule, rule: what it shows".
func rulesTested(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, file := range files(t) {
		for _, name := range testNames(t, file) {
			rules, _, ok := strings.Cut(name, ": ")
			for rule := range strings.SplitSeq(rules, ", ") {
				if ok && found[rule] == "" {
					found[rule] = file
				}
			}
		}
	}
	return found
}

var scriptText = regexp.MustCompile("\"[^\"\n]+\"|'[^'\n]+'|`[^`]+`")

// testNames returns every text in a file of tests: the names are among them.
func testNames(t *testing.T, file string) []string {
	t.Helper()
	if strings.HasPrefix(file, "web/tests/") && strings.HasSuffix(file, ".mjs") {
		var names []string
		for _, quoted := range scriptText.FindAllString(text(t, file), -1) {
			names = append(names, quoted[1:len(quoted)-1])
		}
		return names
	}
	suites := strings.HasPrefix(file, "store/conformance/") || strings.HasPrefix(file, "authenticators/contract/")
	if strings.HasSuffix(file, "_test.go") || suites && strings.HasSuffix(file, ".go") {
		return goTexts([]byte(text(t, file)))
	}
	return nil
}

func goTexts(source []byte) []string {
	set := token.NewFileSet()
	var s scanner.Scanner
	s.Init(set.AddFile("", set.Base(), len(source)), source, nil, 0)
	var texts []string
	for {
		_, kind, literal := s.Scan()
		if kind == token.EOF {
			return texts
		}
		if unquoted, err := strconv.Unquote(literal); kind == token.STRING && err == nil {
			texts = append(texts, unquoted)
		}
	}
}

func TestLayoutNames(t *testing.T) {
	for _, file := range files(t) {
		for i, part := range strings.Split(file, "/") {
			name, _, _ := strings.Cut(part, ".")
			if name = strings.TrimSuffix(strings.ToLower(name), "_test"); slices.Contains(homeless, name) {
				t.Errorf("%s: %q says nothing: what is in it belongs where it is used, or has a name of its own", file, part)
			}
			if i > 0 && part == "internal" && !strings.HasPrefix(file, "cmd/") {
				t.Errorf("%s: only a program under cmd has insides that others may not import", file)
			}
		}
	}
	top, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range top {
		may := topFiles
		if e.IsDir() {
			may = topFolders
		}
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(may, e.Name()) {
			t.Errorf("%s has no place at the top of the repository: the folders there are %s", e.Name(), strings.Join(topFolders, ", "))
		}
	}
}

var (
	quotedPath = regexp.MustCompile("`((?:api|authenticators|cmd|deploy|docs|idp|migrations|store|web)/[\\w./-]+)`")
	mdLink     = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	yamlBlock  = regexp.MustCompile("(?s)```yaml\n(.*?)```")
)

// TestLayoutDocuments keeps what the documents point at, and their examples of
// directory documents, from going stale.
func TestLayoutDocuments(t *testing.T) {
	for _, file := range files(t) {
		if !strings.HasSuffix(file, ".md") {
			continue
		}
		content := text(t, file)
		for _, m := range quotedPath.FindAllStringSubmatch(content, -1) {
			if !exists(m[1]) {
				t.Errorf("%s names %s, which is not there", file, m[1])
			}
		}
		for _, m := range mdLink.FindAllStringSubmatch(content, -1) {
			if !exists(filepath.Join(filepath.Dir(file), m[1])) {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			}
		}
		for i, m := range yamlBlock.FindAllStringSubmatch(content, -1) {
			if _, err := directory.Read(strings.NewReader(m[1])); err != nil {
				t.Errorf("%s: example %d is no directory document: %v", file, i+1, err)
			}
		}
	}
}

// files returns every file of the repository that somebody wrote, from its
// root, with slashes.
func files(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		made := name == "bin" || name == "web/static/vendor" || d.Name() == "node_modules" || d.Name() == "testdata"
		if d.IsDir() && (made || strings.HasPrefix(d.Name(), ".") && path != root) {
			return fs.SkipDir
		}
		if !d.IsDir() {
			all = append(all, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(fmt.Errorf("list the repository: %w", err))
	}
	return all
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func exists(path string) bool {
	_, err := os.Stat(filepath.Join(root, path))
	return err == nil
}
