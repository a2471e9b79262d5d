package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"text/template/parse"
)

//go:embed text/*.json
var textFiles embed.FS

// english is the language of last resort: a word that another lacks is shown
// in English, and a test keeps that from happening.
const english = "en"

// catalogues hold the words for people: language, key, words.
type catalogues map[string]map[string]string

func loadCatalogues(files fs.FS) (catalogues, error) {
	names, err := fs.Glob(files, "text/*.json")
	if err != nil {
		return nil, fmt.Errorf("list catalogues: %w", err)
	}
	c := catalogues{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		words := map[string]string{}
		if err := json.Unmarshal(data, &words); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		c[strings.TrimSuffix(path.Base(name), ".json")] = words
	}
	if c[english] == nil {
		return nil, fmt.Errorf("there is no catalogue text/%s.json", english)
	}
	return c, nil
}

// text returns the words for key in lang, or else in English.
func (c catalogues) text(lang, key string) (string, bool) {
	if t, ok := c[lang][key]; ok {
		return t, true
	}
	t, ok := c[english][key]
	return t, ok
}

// fill puts values for the placeholders of t. args are pairs: "name", value.
// All are put in at once, so a value that looks like a placeholder stays.
func fill(t string, args ...any) string {
	if len(args) < 2 {
		return t
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{%v}", args[i]), fmt.Sprint(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(t)
}

// keysIn returns the keys that a page's templates name outright.
func keysIn(page *template.Template) []string {
	var keys []string
	for _, t := range page.Templates() {
		if t.Tree != nil && t.Tree.Root != nil {
			keys = append(keys, keysOf(t.Tree.Root)...)
		}
	}
	return keys
}

// keysOf walks a template for calls of text and count with a literal key.
func keysOf(node parse.Node) []string {
	var keys []string
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			keys = append(keys, keysOf(child)...)
		}
	case *parse.IfNode:
		keys = branchKeys(&n.BranchNode)
	case *parse.RangeNode:
		keys = branchKeys(&n.BranchNode)
	case *parse.WithNode:
		keys = branchKeys(&n.BranchNode)
	case *parse.ActionNode:
		keys = keysOf(n.Pipe)
	case *parse.TemplateNode:
		keys = keysOf(n.Pipe)
	case *parse.PipeNode:
		if n == nil {
			return nil
		}
		for _, command := range n.Cmds {
			keys = append(keys, commandKeys(command)...)
		}
	}
	return keys
}

func branchKeys(n *parse.BranchNode) []string {
	keys := append(keysOf(n.Pipe), keysOf(n.List)...)
	return append(keys, keysOf(n.ElseList)...)
}

func commandKeys(n *parse.CommandNode) []string {
	var keys []string
	for _, arg := range n.Args {
		keys = append(keys, keysOf(arg)...)
	}
	if len(n.Args) < 2 {
		return keys
	}
	name, ok := n.Args[0].(*parse.IdentifierNode)
	key, literal := n.Args[1].(*parse.StringNode)
	if !ok || !literal {
		return keys
	}
	switch name.Ident {
	case "text":
		return append(keys, key.Text)
	case "count":
		return append(keys, key.Text+".one", key.Text+".other")
	}
	return keys
}
