package ra

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

// columns are those of a file of positions, in any order; the first three must
// be there.
var columns = []string{"uid", "organisation", "role_code", "role_name", "activities", "areas_of_work", "workgroups", "from", "to", "reason"}

const (
	needed   = 3
	mostRows = 500 // each is judged by itself, twice
)

// errFile is of a file that cannot be read as a table of positions.
var errFile = errors.New("the file is no table of positions")

// line is a row of a file: a position for one person.
type line struct {
	number int
	values url.Values
}

// parse reads a file of positions. It reads no more than a file may have.
func parse(text []byte) ([]line, error) {
	if len(text) > api.MaxFile || !utf8.Valid(text) {
		return nil, errFile
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	heads, err := r.Read()
	if err != nil || !isTable(heads) {
		return nil, errFile
	}
	var all []line
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(cells) > len(heads) || len(all) == mostRows {
			return nil, errFile
		}
		at, _ := r.FieldPos(0)
		l := line{at, url.Values{}}
		for i, cell := range cells {
			l.put(strings.TrimSpace(strings.ToLower(heads[i])), strings.TrimSpace(cell))
		}
		named(l.values)
		if len(l.values) > 0 {
			all = append(all, l)
		}
	}
	if len(all) == 0 {
		return nil, errFile
	}
	return all, nil
}

func isTable(heads []string) bool {
	var names []string
	for _, h := range heads {
		name := strings.TrimSpace(strings.ToLower(h))
		if !slices.Contains(columns, name) || slices.Contains(names, name) {
			return false
		}
		names = append(names, name)
	}
	return !slices.ContainsFunc(columns[:needed], func(c string) bool { return !slices.Contains(names, c) })
}

// put sets what a cell says. A list in a cell has semicolons.
func (l line) put(name, cell string) {
	if cell == "" {
		return
	}
	switch name {
	case "uid":
		name = "uids"
	case "activities", "areas_of_work", "workgroups":
		cell = strings.ReplaceAll(cell, ";", "\n")
	}
	l.values.Set(name, cell)
}

// judged is a row with what the registry says of it.
type judged struct {
	line
	change  registry.Change
	preview registry.Preview
	err     error
}

// judge has the registry look at each row.
func (p *Pages) judge(v visit, all []line, confirmed bool) ([]judged, error) {
	f, _ := formOf(registry.PositionAssigned)
	var out []judged
	for _, l := range all {
		j := judged{line: l}
		if confirmed {
			l.values.Set("confirmed", "true")
		}
		if j.change, j.err = f.change(l.values); j.err == nil {
			j.preview, j.err = p.Service.Check(v.Context(), v.actor, j.change)
		}
		if j.err == nil && j.preview.Confirm {
			j.err = registry.ErrConfirm
		}
		if j.err != nil {
			if status, _ := p.message(v, j.err); status >= http.StatusInternalServerError {
				return nil, j.err
			}
		}
		out = append(out, j)
	}
	return out, nil
}

// askFile asks for a file of positions.
func (p *Pages) askFile(v visit) error { return p.filePage(v, nil) }

func (p *Pages) filePage(v visit, problem error) error {
	page := web.RAForm{RA: p.page(v, "/ra/bulk", "ra.bulk.heading"), Action: "/ra/bulk", File: true, Button: p.say(v, "continue"), Cancel: "/ra"}
	page.Intro = p.say(v, "ra.bulk.text", "most", digits(mostRows))
	page.Facts = []web.Fact{{Name: p.say(v, "ra.bulk.columns"), Value: strings.Join(columns, ","), Code: true}}
	page.Fields = []web.FormField{{ID: "f-file", Name: "file", As: "file", Accept: ".csv,text/csv", Label: p.say(v, "ra.bulk.file"), Hint: p.say(v, "ra.bulk.file.hint")}}
	status := http.StatusOK
	if problem != nil {
		status = http.StatusUnprocessableEntity
		page.Fields[0].Problem = p.say(v, "ra.bulk.problem", "most", digits(mostRows))
		page.Problems = []web.FieldProblem{{ID: "f-file", Text: page.Fields[0].Problem}}
	}
	return p.Server.Render(v.w, status, "ra-form", page)
}

// checkFile shows what each row of a file would do.
func (p *Pages) checkFile(v visit) error {
	v.Body = http.MaxBytesReader(v.w, v.Body, api.MaxFile+16<<10)
	sent, _, err := v.FormFile("file")
	if err != nil {
		return p.filePage(v, errFile)
	}
	defer func() { _ = sent.Close() }()
	text, err := io.ReadAll(io.LimitReader(sent, api.MaxFile+1))
	if err != nil {
		return p.filePage(v, errFile)
	}
	return p.lookAtFile(v, text, false, nil)
}

// lookAtFile is the page of what a file would do. Bad rows are left out when
// somebody says so, and nothing is done before.
func (p *Pages) lookAtFile(v visit, text []byte, confirmed bool, problem error) error {
	all, err := parse(text)
	if err != nil {
		return p.filePage(v, err)
	}
	rows, err := p.judge(v, all, confirmed)
	if err != nil {
		return err
	}
	bad := 0
	for _, j := range rows {
		if j.err != nil {
			bad++
		}
	}
	token, err := p.remember(v, "bulk?"+string(text))
	if err != nil {
		return err
	}
	page := web.RAForm{RA: p.page(v, "/ra/bulk", "ra.bulk.check"), Action: "/ra/bulk/do", Button: p.Server.Site.Count(v.lang, "ra.bulk.apply", len(rows)-bad), Cancel: "/ra/bulk"}
	page.Hidden = []web.Detail{{Name: "token", Value: token}, {Name: "text", Value: string(text)}}
	page.Facts = []web.Fact{{Name: p.say(v, "ra.bulk.good"), Value: digits(len(rows) - bad)}, {Name: p.say(v, "ra.bulk.bad"), Value: digits(bad)}}
	page.Body = []web.Section{p.rows(v, rows)}
	if slices.ContainsFunc(rows, func(j judged) bool { return errors.Is(j.err, registry.ErrConfirm) }) || confirmed {
		page.Fields = append(page.Fields, web.FormField{ID: "f-confirmed", Name: "confirmed", As: "tick", Label: p.say(v, "ra.bulk.confirm"), Value: map[bool]string{true: "true"}[confirmed]})
	}
	if bad > 0 {
		page.Fields = append(page.Fields, web.FormField{ID: "f-without", Name: "without", As: "tick", Label: p.Server.Site.Count(v.lang, "ra.bulk.without", bad)})
	}
	status := http.StatusOK
	if problem != nil {
		status = http.StatusConflict
		page.Problems = []web.FieldProblem{{Text: problem.Error()}}
		if n := len(page.Fields); n > 0 {
			page.Fields[n-1].Problem, page.Problems[0].ID = problem.Error(), page.Fields[n-1].ID
		}
	}
	return p.Server.Render(v.w, status, "ra-form", page)
}

// rows is the table of the rows of a file.
func (p *Pages) rows(v visit, rows []judged) web.Section {
	heads := []string{p.say(v, "ra.bulk.line"), p.say(v, "ra.head.uid"), p.say(v, "ra.head.role"), p.say(v, "ra.head.days"), p.say(v, "ra.head.state")}
	t := &web.Table{Caption: p.say(v, "ra.bulk.check"), Heads: heads}
	for _, j := range rows {
		get := j.values.Get
		row := web.Row{Off: j.err != nil, Cells: []web.Cell{{Text: digits(j.number)}, {Head: heads[1], Text: get("uids"), Code: true},
			{Head: heads[2], Text: roleName(get("role_name"), get("role_code")), Lines: []string{get("organisation")}},
			{Head: heads[3], Text: p.days(v, idp.Date(get("from")), idp.Date(get("to")))}, {Head: heads[4], Tags: []web.Tag{{Text: p.say(v, "ra.bulk.ok"), Tone: "good"}}}}}
		state := &row.Cells[4]
		if len(j.preview.Second) > 0 {
			state.Tags = []web.Tag{{Text: p.say(v, "ra.bulk.waits"), Tone: "warn"}}
		}
		for _, w := range j.preview.Warnings {
			state.Lines = append(state.Lines, p.warning(v, w))
		}
		if j.err != nil {
			state.Tags, state.Lines = []web.Tag{{Text: p.say(v, "ra.bulk.refused"), Tone: "stop"}}, p.rowProblems(v, j.err)
		}
		t.Rows = append(t.Rows, row)
	}
	return web.Section{ID: "rows", Heading: p.say(v, "ra.bulk.rows"), Table: t}
}

// rowProblems say what is wrong with a row.
func (p *Pages) rowProblems(v visit, err error) []string {
	var all []string
	for _, f := range refusedFields(err) {
		name, _, _ := strings.Cut(f.Name, ".")
		all = append(all, p.say(v, "ra.field."+name)+": "+p.problem(v, f, ""))
	}
	if len(all) == 0 {
		_, m := p.message(v, err)
		all = []string{m.Heading}
	}
	return all
}

// applyFile does what somebody has looked at. Nothing is done unless every row
// passes, or they leave those out that do not.
func (p *Pages) applyFile(v visit) error {
	text := []byte(strings.ReplaceAll(v.PostFormValue("text"), "\r\n", "\n"))
	confirmed := v.PostFormValue("confirmed") == "true"
	if err := p.seen(v, v.PostFormValue("token"), "bulk?"+string(text)); err != nil {
		if errors.Is(err, errUnseen) {
			return p.lookAtFile(v, text, confirmed, errors.New(p.say(v, "ra.unseen")))
		}
		return err
	}
	all, err := parse(text)
	if err != nil {
		return p.filePage(v, err)
	}
	rows, err := p.judge(v, all, confirmed)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(j judged) bool { return j.err != nil }) && v.PostFormValue("without") != "true" {
		return p.lookAtFile(v, text, confirmed, errors.New(p.say(v, "ra.bulk.none")))
	}
	for i := range rows {
		if rows[i].err != nil {
			continue
		}
		if _, err := p.Service.Do(v.Context(), v.actor, rows[i].change); err != nil {
			rows[i].err = err
		}
	}
	page := p.page(v, "/ra/bulk", "ra.bulk.done")
	page.Body = []web.Section{p.rows(v, rows)}
	return p.render(v, page)
}
