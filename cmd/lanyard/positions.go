package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// assignCommand gives positions: one to people who are named, or those of a
// table.
func assignCommand(r *remote) *cobra.Command {
	a := act{"assign UID...", "Give a position to one person or many, or those of a table", http.MethodPost, "/positions", with(workOptions, []option{reasonOption(false)}), "uids"}
	cmd := a.command(r)
	one := cmd.RunE
	var file string
	cmd.Flags().StringVar(&file, "csv", "", "table `file` with the columns uid, organisation, role_code, and where wanted role_name, activities, areas_of_work, workgroups, from, to")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if (file == "") == (len(args) == 0) {
			return errors.New("name people, or a table with --csv")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return one(cmd, args)
		}
		check, _ := cmd.Flags().GetBool("check")
		confirmed, _ := cmd.Flags().GetBool("confirmed")
		reason, _ := cmd.Flags().GetString("reason")
		return r.assignTable(cmd, file, reason, confirmed, check)
	}
	return cmd
}

// work is a position as a row of a table has it.
type work struct {
	UIDs         []string `json:"uids"`
	Organisation string   `json:"organisation"`
	RoleCode     string   `json:"role_code"`
	RoleName     string   `json:"role_name,omitempty"`
	Activities   []code   `json:"activities,omitempty"`
	AreasOfWork  []code   `json:"areas_of_work,omitempty"`
	Workgroups   []code   `json:"workgroups,omitempty"`
	From         string   `json:"from,omitempty"`
	To           string   `json:"to,omitempty"`
	Confirmed    bool     `json:"confirmed"`
	Reason       string   `json:"reason,omitempty"`

	lines []int // of the table
}

// mostTogether is how many people one change gives a position.
const mostTogether = 500

// assignTable has every row of a table looked at, and makes them only if all of
// them can be.
func (r *remote) assignTable(cmd *cobra.Command, file, reason string, confirmed, check bool) error {
	f, err := os.Open(file) //nolint:gosec // the file that its owner named
	if err != nil {
		return exit{exitUsage, err}
	}
	defer func() { _ = f.Close() }() // it was only read
	all, err := readTable(f)
	if err != nil {
		return exit{exitUsage, fmt.Errorf("%s: %w", file, err)}
	}
	var wrong []error
	for i := range all {
		all[i].Confirmed, all[i].Reason = confirmed, reason
		if err := r.assignRows(cmd, all[i], true); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		first, _ := errors.AsType[exit](wrong[0])
		return exit{first.status, errors.Join(append(wrong, errors.New("nothing was changed"))...)}
	}
	if check {
		return nil
	}
	for _, w := range all {
		if err := r.assignRows(cmd, w, false); err != nil {
			return err
		}
	}
	return nil
}

// assignRows gives one position to the people of its rows.
func (r *remote) assignRows(cmd *cobra.Command, w work, check bool) error {
	query := url.Values{}
	if check {
		query.Set("check", "true")
	}
	at := fmt.Sprintf("line %d", w.lines[0])
	if len(w.lines) > 1 {
		at = fmt.Sprintf("lines %d to %d", slices.Min(w.lines), slices.Max(w.lines))
	}
	text, err := r.ask(cmd.Context(), http.MethodPost, "/positions", query, w, jsonKind)
	if err != nil {
		e, _ := errors.AsType[exit](err)
		return exit{e.status, fmt.Errorf("%s: %w", at, err)}
	}
	if r.asJSON && !check {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	var said strings.Builder
	if err := (&remote{}).say(&said, text, check); err != nil {
		return err
	}
	if r.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"lines": w.lines, "check": json.RawMessage(text)})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s at %s for %d: %s", at, w.RoleCode, w.Organisation, len(w.UIDs), said.String())
	return err
}

// columns are those that a table of positions may have.
var columns = []string{"uid", "organisation", "role_code", "role_name", "activities", "areas_of_work", "workgroups", "from", "to"}

// mostLines bounds a table.
const mostLines = 100_000

// readTable reads a table of positions, and puts together what differs in its
// people alone. What is wrong is named with its line.
func readTable(from io.Reader) ([]work, error) {
	table := csv.NewReader(from)
	table.FieldsPerRecord = 0 // as many as the first line has
	head, err := table.Read()
	if err != nil {
		return nil, fmt.Errorf("read the first line: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // as spreadsheets begin their files
	for i, name := range head {
		if !slices.Contains(columns, name) || slices.Contains(head[:i], name) {
			return nil, fmt.Errorf("line 1: %.60q is no column, or stands there twice: there are %s", name, strings.Join(columns, ", "))
		}
	}
	for _, name := range columns[:3] {
		if !slices.Contains(head, name) {
			return nil, fmt.Errorf("line 1: the column %s is missing", name)
		}
	}
	var all []work
	at := map[string]int{}
	for n := 0; ; n++ {
		row, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err // it names its line
		}
		if n == mostLines {
			return nil, fmt.Errorf("there are more than %d lines", mostLines)
		}
		line, _ := table.FieldPos(0)
		is := map[string]string{}
		for i, name := range head {
			is[name] = strings.TrimSpace(row[i])
		}
		uid := is["uid"]
		delete(is, "uid")
		key := fmt.Sprint(is)
		i, ok := at[key]
		if !ok || len(all[i].UIDs) >= mostTogether {
			i = len(all)
			at[key] = i
			all = append(all, work{Organisation: is["organisation"], RoleCode: is["role_code"], RoleName: is["role_name"], From: is["from"], To: is["to"],
				Activities: coded(strings.Fields(is["activities"])), AreasOfWork: coded(strings.Fields(is["areas_of_work"])), Workgroups: coded(strings.Fields(is["workgroups"]))})
		}
		all[i].UIDs, all[i].lines = append(all[i].UIDs, uid), append(all[i].lines, line)
	}
	if len(all) == 0 {
		return nil, errors.New("it has no lines but the first")
	}
	return all, nil
}
