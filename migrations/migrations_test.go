package migrations

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	made     = regexp.MustCompile(`(?m)^CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)
	changed  = regexp.MustCompile(`(?m)^(?:ALTER TABLE|CREATE (?:OR REPLACE )?TRIGGER \w+ .* ON) (\w+)`)
	indexed  = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?\w+ ON (\w+)`)
	onceOnly = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE )?(?:TABLE|INDEX) (?:[^I]|I[^F])|ADD COLUMN [^I]|^CREATE (?:FUNCTION|TRIGGER)`)
)

// heldBefore are the tables of a file that were there before it.
func heldBefore(sql string) []string {
	var fresh, held []string
	for _, m := range made.FindAllStringSubmatch(sql, -1) {
		fresh = append(fresh, m[1])
	}
	for _, of := range []*regexp.Regexp{changed, indexed} {
		for _, m := range of.FindAllStringSubmatch(sql, -1) {
			if held = append(held, m[1]); slices.Contains(fresh, m[1]) {
				held = held[:len(held)-1]
			}
		}
	}
	return held
}

func TestFiles(t *testing.T) {
	files, err := fs.Glob(Files, "*.sql")
	if err != nil || len(files) < 7 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files[6:] { // those before were released as they are
		b, err := fs.ReadFile(Files, name)
		if err != nil {
			t.Fatal(err)
		}
		sql := string(b)
		whole := !strings.Contains(sql, "-- +goose NO TRANSACTION")
		t.Run("own rule: a transaction changes or indexes one table that was there before: "+name, func(t *testing.T) {
			if held := heldBefore(sql); whole && len(held) > 1 {
				t.Errorf("it holds %s while people sign in", strings.Join(held, ", "))
			}
		})
		t.Run("own rule: what is no transaction can be run again: "+name, func(t *testing.T) {
			if once := onceOnly.FindAllString(sql, -1); !whole && len(once) > 0 {
				t.Errorf("these cannot: %q", once)
			}
		})
	}
}
