package registry

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// worklist shows who is on a list. As CSV it is whole.
func (a *API) worklist(c *call) (any, error) {
	name := registry.List(c.at("name"))
	if !slices.Contains(registry.Lists, name) {
		return nil, idp.ErrNotFound
	}
	q, err := c.listing()
	if err != nil {
		return nil, err
	}
	on, err := c.day(a.Now())
	if err != nil {
		return nil, err
	}
	read := func(q registry.Query) (page[registry.Found], error) {
		found, next, err := a.Service.Worklist(c.r.Context(), name, q, on)
		if err != nil {
			return page[registry.Found]{}, fmt.Errorf("worklist %s: %w", name, err)
		}
		return page[registry.Found]{found, next}, nil
	}
	if c.wants() != "text/csv" {
		return read(q)
	}
	var rows [][]string
	const most = 100_000 // of rows: more is no work for anybody
	for q.Most = mostListed; ; {
		part, err := read(q)
		if err != nil {
			return nil, err
		}
		for _, f := range part.Items {
			rows = append(rows, []string{f.UID, f.Display, f.Email, string(f.Profile), strings.Join(f.At, " "), f.Why})
		}
		if q.After = part.Next; q.After == "" || len(rows) >= most {
			break
		}
	}
	return nil, writeCSV(c.w, string(name), []string{"uid", "name", "email", "profile", "organisations", "why"}, rows)
}

// wants is the first kind of answer that a request names, of those with a form
// of their own; "" is JSON.
func (c *call) wants() string {
	for part := range strings.SplitSeq(c.r.Header.Get("Accept"), ",") {
		kind, _, err := mime.ParseMediaType(part)
		switch {
		case err != nil:
		case kind == "text/csv" || kind == "application/yaml":
			return kind
		case kind == "application/json":
			return ""
		}
	}
	return ""
}

// writeCSV answers with a table. A cell that a spreadsheet would take for a
// formula begins with an apostrophe: names come from outside.
func writeCSV(w http.ResponseWriter, name string, head []string, rows [][]string) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	out := csv.NewWriter(w)
	_ = out.Write(head)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = harmless(cell)
		}
		_ = out.Write(row)
	}
	out.Flush() // who hung up hears nothing
	return nil
}

func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// waiting shows what waits for a second person.
func (a *API) waiting(c *call) (any, error) {
	q, err := c.listing()
	if err != nil {
		return nil, err
	}
	all, next, err := a.Service.Finder.Waiting(c.r.Context(), q, a.Now())
	if err != nil {
		return nil, fmt.Errorf("requests: %w", err)
	}
	shown := page[request]{Next: next}
	for _, q := range all {
		shown.Items = append(shown.Items, requestOf(q))
	}
	return shown, nil
}

// oneRequest shows a request, whatever became of it.
func (a *API) oneRequest(c *call) (any, error) {
	id := c.at("id")
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Requests: []string{id}})
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", clip(id), err)
	}
	q := r.Requests[id]
	if q == nil {
		return nil, registry.ErrNoRequest
	}
	return requestOf(*q), nil
}

// requestOf shows a request without what nobody is shown.
func requestOf(q registry.Request) request {
	v := request{ID: q.ID, Kind: q.Kind, Change: json.RawMessage(`{}`), AskedBy: q.AskedBy, AskedAt: q.AskedAt, Until: q.Until, UID: q.UID, At: q.At,
		State: q.State, By: q.By, Reason: q.Reason}
	var members map[string]any
	if json.Unmarshal(q.Change, &members) == nil {
		delete(members, "ni_number")
		if text, err := json.Marshal(members); err == nil {
			v.Change = text
		}
	}
	return v
}

// decides makes a route's function of what is decided about a request.
func decides(approve bool) func(a *API, c *call) (any, error) {
	return func(a *API, c *call) (any, error) {
		var said reason
		if err := json.Unmarshal(c.text, &said); err != nil {
			return nil, api.ErrBody
		}
		s := a.serviceOf(c)
		done, err := s.Decide(c.r.Context(), c.actor, c.at("id"), approve, said.Reason)
		if err != nil {
			return nil, err
		}
		return done, nil
	}
}

// findOrganisations finds organisations.
func (a *API) findOrganisations(c *call) (any, error) {
	q, err := c.listing()
	if err != nil {
		return nil, err
	}
	all, next, err := a.Service.Finder.FindOrganisations(c.r.Context(), q)
	if err != nil {
		return nil, fmt.Errorf("find organisations: %w", err)
	}
	shown := page[organisation]{Next: next}
	for _, o := range all {
		shown.Items = append(shown.Items, organisation(o))
	}
	return shown, nil
}

// showOrganisation shows one.
func (a *API) showOrganisation(c *call) (any, error) {
	change, err := a.organisation(c)
	if err != nil {
		return nil, err
	}
	return change, nil
}

func (a *API) organisation(c *call) (organisation, error) {
	code := c.at("code")
	r, err := a.Service.Keeper.Records(c.r.Context(), registry.Touch{Organisations: []string{code}})
	if err != nil {
		return organisation{}, fmt.Errorf("organisation %s: %w", clip(code), err)
	}
	if o := r.Organisations[code]; o != nil {
		return organisation(*o), nil
	}
	return organisation{}, registry.ErrNoOrganisation
}

// wasOrganisation is the change of an organisation that changes nothing.
func (a *API) wasOrganisation(c *call) (registry.ChangeOrganisation, string, error) {
	o, err := a.organisation(c)
	return registry.ChangeOrganisation{Code: o.Code, Name: o.Name, Parent: o.Parent}, "", err
}

// isReference is what people read out: the beginning of a request's id.
var isReference = regexp.MustCompile(`^[0-9A-Za-z]{8}$`)

// reference leads from what somebody reads out to its cause and its remedy.
func (a *API) reference(c *call) (any, error) {
	text := strings.ToUpper(c.at("reference"))
	if !isReference.MatchString(text) {
		return nil, api.ErrNoReference
	}
	events, err := a.Service.Finder.ByReference(c.r.Context(), text)
	if err != nil && !errors.Is(err, idp.ErrNotFound) {
		return nil, fmt.Errorf("reference: %w", err)
	}
	if len(events) == 0 {
		return nil, api.ErrNoReference
	}
	var shown page[happened]
	for _, e := range events {
		h := happened{Event: e}
		if m, ok := a.Server.Explain(a.lang(c.r), e.Reason); ok {
			h.Code, h.Cause, h.Remedy = m.Code, m.Heading, m.Action
		}
		shown.Items = append(shown.Items, h)
	}
	return shown, nil
}

// permissions shows who may do what.
func (a *API) permissions(*call) (any, error) {
	var shown page[permission]
	for _, kind := range registry.Kinds() {
		shown.Items = append(shown.Items, permission{kind, a.Service.Policy.Table(kind)})
	}
	return shown, nil
}

// why explains who may make a change.
func (a *API) why(c *call) (any, error) {
	var asked question
	if err := json.Unmarshal(c.text, &asked); err != nil {
		return nil, api.ErrBody
	}
	change, err := registry.Read(asked.Kind, asked.Change)
	if err != nil {
		return nil, fields{{Name: "change", Problem: registry.Form}}.err()
	}
	e, err := a.Service.Why(c.r.Context(), c.actor, change)
	if err != nil {
		return nil, err
	}
	v := explanation{Explanation: e}
	if m, ok := a.Server.Explain(a.lang(c.r), string(e.Why)); ok && !e.Allowed {
		v.Code, v.Detail = m.Code, m.Text+" "+m.Action
	}
	return v, nil
}
