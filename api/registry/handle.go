package registry

import (
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// handle makes a handler of a row of the table.
func (a *API) handle(rt route) http.HandlerFunc {
	limit := rt.limit
	if limit == 0 {
		limit = ordinary
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		r = r.WithContext(ctx)
		c, err := a.receive(rt, w, r)
		var got given
		if err == nil {
			got, err = a.once(c, func() (given, error) { //nolint:contextcheck // the call has the request, and its context
				answer, err := rt.run(a, c)
				if err != nil || answer == nil {
					return given{}, err // nil has its own form, and was written
				}
				return c.written(answer)
			})
		}
		switch {
		case err != nil:
			a.fail(w, r, err)
		case got.Status != 0:
			got.send(w)
		}
	}
}

// receive finds out who asks, and reads what for.
func (a *API) receive(rt route, w http.ResponseWriter, r *http.Request) (*call, error) {
	who, err := a.actor(r)
	if err != nil {
		return nil, err
	}
	c := &call{route: rt, r: r, w: w, actor: who, asked: r.URL.Query(), text: []byte("{}")}
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	if !rt.change || rt.patch { // the service says who may change what, and notes who tried
		if _, err := a.Service.Admit(who); err != nil {
			return nil, err
		}
	}
	if rt.body != nil {
		if c.text, err = readBody(rt, w, r); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// checkQuery refuses what nobody knows, and what comes twice.
func (c *call) checkQuery() error {
	var no fields
	for name, values := range c.asked {
		switch {
		case !slices.Contains(c.query, name):
			no.add(name, registry.Unknown, directory.Nearest(name, c.query))
		case len(values) > 1:
			no.add(name, registry.Twice, "")
		}
	}
	if check := c.asked.Get("check"); check != "" && check != "true" && check != "false" {
		no.add("check", registry.Form, "")
	}
	return no.err()
}

// readBody reads a body that fits its route, or says what of it does not.
func readBody(rt route, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	most := rt.most
	if most == 0 {
		most = maxBody
	}
	kind, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, named := options["charset"]
	if err != nil || kind != "application/json" && (!rt.patch || kind != "application/merge-patch+json") || named && !strings.EqualFold(charset, "utf-8") ||
		r.Header.Get("Content-Encoding") != "" {
		return nil, api.ErrMedia
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, api.ErrTooBig
	}
	if err != nil {
		return nil, api.ErrBody
	}
	var skip []string
	for _, name := range rt.of() {
		skip = append(skip, rt.member(name))
	}
	return text, fits(text, reflect.TypeOf(rt.body), skip)
}

// ask hands a change to the service, or only has it looked at. If-Match holds
// for the person of the path.
func (a *API) ask(ctx context.Context, c *call, change registry.Change) (any, error) {
	return a.askIf(ctx, c, change, "")
}

// serviceOf is the service for one request: what its caller has named, it makes
// once.
func (a *API) serviceOf(c *call) registry.Service {
	s := *a.Service
	if c.named != nil {
		s.Keeper = fenced{s.Keeper, c.named.name}
	}
	return s
}

// askIf is ask if what is changed still has that version.
func (a *API) askIf(ctx context.Context, c *call, change registry.Change, version string) (any, error) {
	s := a.serviceOf(c)
	want, some, err := c.ifMatch()
	if err != nil {
		return nil, err
	}
	if some && version != "" && want != version {
		return nil, api.ErrChanged
	}
	if some {
		version = want
	}
	if uid := c.at("uid"); uid != "" && version != "" {
		s.Keeper = unchanged{s.Keeper, uid, version}
	}
	if c.asked.Get("check") == "true" {
		return s.Check(ctx, c.actor, change)
	}
	done, err := s.Do(ctx, c.actor, change)
	if err != nil {
		return nil, err
	}
	return done, nil
}

// ifMatch is the version that a request holds for the one of today.
func (c *call) ifMatch() (version string, some bool, err error) {
	text := c.r.Header.Get("If-Match")
	if text == "" || text == "*" {
		return "", false, nil
	}
	version, err = strconv.Unquote(text)
	if err != nil || !c.tagged {
		return "", false, api.ErrChanged // a weak one never matches: RFC 9110 §13.1.1
	}
	return version, true, nil
}

// unchanged is a keeper that changes a person only while they have a version:
// it is looked at in the transaction of the change.
type unchanged struct {
	registry.Keeper
	uid, version string
}

// Change implements registry.Keeper.
func (u unchanged) Change(ctx context.Context, t registry.Touch, decide func(*registry.Records) (idp.Act, error)) error {
	return u.Keeper.Change(ctx, t, func(r *registry.Records) (idp.Act, error) {
		if p := r.People[u.uid]; p != nil && p.ETag != u.version {
			return idp.Act{}, api.ErrChanged
		}
		return decide(r)
	})
}

// Records implements registry.Keeper.
func (u unchanged) Records(ctx context.Context, t registry.Touch) (registry.Records, error) {
	r, err := u.Keeper.Records(ctx, t)
	if p := r.People[u.uid]; err == nil && p != nil && p.ETag != u.version {
		return r, api.ErrChanged
	}
	return r, err
}

// status is that of an answer.
func (rt route) status(c *call, answer any) int {
	done, ok := answer.(registry.Done)
	switch {
	case ok && done.Request != "":
		return http.StatusAccepted
	case ok && rt.made && c.asked.Get("check") != "true":
		return http.StatusCreated
	}
	return http.StatusOK
}

// whole is an answer in which no list is null.
func whole(answer any) any {
	v := reflect.New(reflect.TypeOf(answer)).Elem()
	v.Set(reflect.ValueOf(answer))
	fill(v)
	return v.Interface()
}

// fill makes empty lists of those that are nil.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() && v.CanSet() && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			if v.Index(i).Kind() == reflect.Struct {
				fill(v.Index(i))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	default:
	}
}

// otherMethod says which methods an address has.
func (a *API) otherMethod(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, Root)
	methods := map[string]bool{}
	for _, rt := range routes() { //nolint:contextcheck // of routes that answer requests of their own
		if sameShape(rt.path, path) {
			methods[rt.method] = true
		}
	}
	w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
	a.fail(w, r, api.ErrMethod)
}

// sameShape says whether an address is one of a route's.
func sameShape(route, path string) bool {
	want, got := strings.Split(route, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") })
}
