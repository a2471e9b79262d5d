package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// route is one thing that can be asked of the API: a row of the table.
type route struct {
	method, path string
	id           string // operationId
	tag          string
	does         string

	query  []string          // names of params
	body   any               // a zero value of what is read; nil: nothing is
	patch  bool              // of body any member may be left out, and stays as it is then
	inPath map[string]string // members of body that stand in the path, by the path's name
	change bool              // it asks for a change, which ?check=true only tries
	made   bool              // what it answers is new: 201
	place  string            // where what is new is found then; "": nowhere by itself

	answer any  // a zero value of what is answered
	csv    bool // it can be had as text/csv
	yaml   bool // it can be had as application/yaml
	tagged bool // the answer has an ETag, or If-Match is heeded

	most  int64         // bytes of the body; 0: maxBody
	limit time.Duration // of the whole; 0: ordinary

	run func(a *API, c *call) (any, error)
}

const (
	maxBody     = 256 << 10
	maxDocument = 32 << 20
	ordinary    = 4 * time.Second
	long        = 60 * time.Second // for a whole directory
)

// call is a request to a route by somebody who may use the API.
type call struct {
	route
	r     *http.Request
	w     http.ResponseWriter
	actor registry.Actor
	asked url.Values
	text  []byte  // the body: JSON that fits the route's
	named *repeat // what the caller has named the request; nil: nothing
}

// at is the value of the path's parameter of that name.
func (c *call) at(name string) string {
	value := chi.URLParam(c.r, name)
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}

// param is something that may be asked for in the address.
type param struct {
	does   string
	schema schema
}

// params are the parameters of queries by name.
var params = map[string]param{
	"q":     {"What is looked for.", schema{"type": "string", "maxLength": maxText}},
	"at":    {"The code of an organisation: only what is there or below.", schema{"type": "string", "maxLength": 12}},
	"after": {"The cursor that the part before ended with.", schema{"type": "string", "maxLength": maxText}},
	"limit": {"How many at most.", schema{"type": "integer", "minimum": 1, "maximum": mostListed, "default": listed}},
	"on":    {"The day for which the list is made; today without it.", schema{"type": "string", "format": "date"}},
	"check": {"Say what would be done, and do nothing.", schema{"type": "boolean", "default": false}},
}

const (
	maxText    = 200
	listed     = 50
	mostListed = 200
)

// listing is what a query says of a list.
func (c *call) listing() (registry.Query, error) {
	q := registry.Query{Text: c.asked.Get("q"), At: c.asked.Get("at"), After: c.asked.Get("after"), Most: listed}
	var no fields
	for name, value := range map[string]string{"q": q.Text, "at": q.At, "after": q.After} {
		if len(value) > maxText {
			no.add(name, registry.TooLong, "")
		}
	}
	if text := c.asked.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostListed {
			no.add("limit", registry.Range, "")
		}
		q.Most = n
	}
	return q, no.err()
}

// day is the moment for which a list is made.
func (c *call) day(now time.Time) (time.Time, error) {
	text := c.asked.Get("on")
	if text == "" {
		return now, nil
	}
	t, err := idp.Date(text).Begins()
	if err != nil {
		return now, fields{{Name: "on", Problem: registry.Form}}.err()
	}
	return t.Add(12 * time.Hour), nil
}

// inBraces finds the parameters of a path.
var inBraces = regexp.MustCompile(`\{([a-z_]+)\}`)

// of are the names of the path's parameters.
func (rt route) of() []string {
	var names []string
	for _, m := range inBraces.FindAllStringSubmatch(rt.path, -1) {
		names = append(names, m[1])
	}
	return names
}

// member is the name that a parameter of the path has in the body's type.
func (rt route) member(name string) string { return cmp.Or(rt.inPath[name], name) }

// asks is a route by which somebody asks for a change of type C. The parameters
// of its path are members of the change.
func asks[C registry.Change](method, path, id, tag, does string) route {
	var zero C
	return route{method: method, path: path, id: id, tag: tag, does: does, body: zero, change: true, answer: registry.Done{}, query: []string{"check"},
		tagged: strings.Contains(path, "/{uid}"),
		run: func(a *API, c *call) (any, error) {
			change, err := settle[C](c, c.text)
			if err != nil {
				return nil, err
			}
			return a.ask(c.r.Context(), c, change)
		}}
}

// alters is asks for a change that replaces what there is: members that are left
// out stay as they are. was returns the change that would change nothing, and
// the version of what it was read from, "" if that has none.
func alters[C registry.Change](path, id, tag, does string, was func(a *API, c *call) (change C, version string, err error)) route {
	rt := asks[C](http.MethodPatch, path, id, tag, does)
	rt.patch = true
	rt.run = func(a *API, c *call) (any, error) {
		const tries = 3 // somebody else changes it at the same moment
		for i := 1; ; i++ {
			old, version, err := was(a, c)
			if err != nil {
				return nil, err
			}
			text, err := merged(old, c.text)
			if err != nil {
				return nil, err
			}
			change, err := settle[C](c, text)
			if err != nil {
				return nil, err
			}
			done, err := a.askIf(c.r.Context(), c, change, version)
			if errors.Is(err, api.ErrChanged) && c.r.Header.Get("If-Match") == "" && i < tries {
				continue
			}
			return done, err
		}
	}
	return rt
}

// named gives a parameter of the path another name among the body's members.
func (rt route) named(name, member string) route {
	rt.inPath = map[string]string{name: member}
	return rt
}

// creates says that what a route makes is new, and found at that place.
func (rt route) creates(place string) route {
	rt.made, rt.place = true, place
	return rt
}

// large lets a route bring a whole directory.
func (rt route) large() route {
	rt.most, rt.limit = maxDocument, long
	return rt
}

// settle reads a change from JSON, and from the parameters of the path.
func settle[C registry.Change](c *call, text []byte) (C, error) {
	var change C
	if err := json.Unmarshal(text, &change); err != nil {
		return change, unread(err)
	}
	for _, name := range c.of() {
		member := c.member(name)
		value, err := json.Marshal(c.at(name))
		if err != nil {
			return change, err
		}
		if f, ok := memberOf(reflect.TypeFor[C](), member); ok && f.Type.Kind() == reflect.Int {
			n, err := strconv.Atoi(c.at(name))
			if err != nil {
				return change, fields{{Name: name, Problem: registry.Form}}.err()
			}
			value = []byte(strconv.Itoa(n))
		}
		whole := slices.Concat([]byte(`{`), []byte(strconv.Quote(member)), []byte(`:`), value, []byte(`}`))
		if err := json.Unmarshal(whole, &change); err != nil {
			return change, fields{{Name: name, Problem: registry.Form}}.err()
		}
	}
	return change, nil
}

// unread says why JSON that fits its type was not read: a document has lines of
// its own that are wrong.
func unread(err error) error {
	if lines, ok := errors.AsType[directory.Problems](err); ok {
		return fmt.Errorf("%w: %w", registry.ErrDocument, lines)
	}
	return fmt.Errorf("%w: %w", api.ErrBody, err)
}

// merged is the JSON of old with the members of patch in their place. RFC 7396,
// without its null: nothing that is changed here has one.
func merged(old any, patch []byte) ([]byte, error) {
	text, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var is, says map[string]any
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &says); err != nil {
		return nil, err
	}
	return json.Marshal(merge(is, says))
}

func merge(is, says map[string]any) map[string]any {
	for key, value := range says {
		below, ok := value.(map[string]any)
		was, both := is[key].(map[string]any)
		if ok && both {
			is[key] = merge(was, below)
			continue
		}
		is[key] = value
	}
	return is
}
