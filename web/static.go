package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed all:static
var staticFiles embed.FS

// The files of nhsuk-frontend, where build.mjs has put them.
const (
	vendorStyle  = "vendor/nhsuk-frontend.min.css"
	vendorScript = "vendor/nhsuk-frontend.min.js"
)

// assets serves the static files. All share one hash, so that a stylesheet
// may name a picture beside it and a script another script.
type assets struct {
	prefix  string // /static/<hash>/
	files   map[string][]byte
	styles  []string
	scripts []string
}

func loadAssets(from fs.FS) (*assets, error) {
	a := &assets{files: map[string][]byte{}}
	sum := sha256.New()
	err := fs.WalkDir(from, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		if types[path.Ext(name)] == "" {
			return fmt.Errorf("%s is of a kind that is not served", name)
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "static/")
		a.files[name] = data
		_, err = fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read static files: %w", err)
	}
	a.prefix = "/static/" + hex.EncodeToString(sum.Sum(nil))[:16] + "/"
	a.choose()
	return a, nil
}

// choose decides between nhsuk-frontend and our own plain stylesheet, by
// whether the former was there when the binary was built.
func (a *assets) choose() {
	look, scripts := "plain.css", []string{"lanyard.js", "key.js", "puzzle.js"}
	if a.vendored() {
		look, scripts = vendorStyle, append(scripts, "nhsuk.js")
	}
	for _, name := range []string{look, "lanyard.css"} {
		a.styles = append(a.styles, a.url(name))
	}
	for _, name := range scripts {
		a.scripts = append(a.scripts, a.url(name))
	}
}

func (a *assets) vendored() bool {
	return a.files[vendorStyle] != nil && a.files[vendorScript] != nil
}

func (a *assets) url(name string) string { return a.prefix + name }

// types are the kinds of file we serve. They are ours and not the machine's:
// mime.TypeByExtension answers differently from one computer to the next.
var types = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// ServeHTTP serves /static/<hash>/<name>. Another hash is another build's
// file: it is not found, so that a browser never keeps the wrong one.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, a.prefix)
	data, found := a.files[name]
	if !ok || !found {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", types[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
