package ra

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/web"
)

func TestEveryChangeHasAForm(t *testing.T) {
	// Applications and documents are looked after by the API and the commands.
	elsewhere := []registry.Kind{registry.ClientAdded, registry.ClientChanged, registry.ClientRemoved, registry.DocumentApplied}
	for _, kind := range registry.Kinds() {
		if _, ok := formOf(kind); ok == slices.Contains(elsewhere, kind) {
			t.Errorf("%s has a form: %v", kind, ok)
		}
	}
}

// A field that its change has not would be lost without a word: Read refuses
// keys that it does not know.
func TestEveryFieldIsOneOfItsChange(t *testing.T) {
	for _, f := range forms {
		values := url.Values{}
		for _, fl := range f.fields {
			value := "1"
			if fl.as == tick || fl.is == tick {
				value = "true"
			}
			values.Set(fl.name, value)
		}
		values.Set("confirmed", "true")
		ch, err := f.change(values)
		if err != nil || ch.Kind() != f.kind {
			t.Errorf("%s: %v", f.kind, err)
			continue
		}
		text, err := json.Marshal(ch)
		if err != nil {
			t.Fatal(err)
		}
		back, err := valuesOf(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, fl := range f.fields {
			if !strings.HasPrefix(back.Get(fl.name), "1") && back.Get(fl.name) != "true" {
				t.Errorf("%s: %s became %q", f.kind, fl.name, back.Get(fl.name))
			}
		}
	}
}

func TestEveryWordIsThere(t *testing.T) {
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	want := func(key string) {
		t.Helper()
		if site.Text("en", key) == key {
			t.Errorf("there are no words for %s", key)
		}
	}
	for _, f := range forms {
		want("ra.change." + string(f.kind))
		want("ra.event." + string(f.kind))
		for _, fl := range f.fields {
			want("ra.field." + fl.name)
			if fl.begins != "" {
				want("ra.group." + fl.begins)
			}
			for _, o := range fl.options {
				want("ra.option." + fl.name + "." + o)
			}
		}
	}
	for _, l := range registry.Lists {
		want("ra.list." + string(l))
		want("ra.list." + string(l) + ".text")
	}
	for _, a := range []registry.Authority{registry.Manager, registry.Advanced, registry.Agent, registry.Sponsor, registry.IDChecker, registry.CardAdmin} {
		want("ra.authority." + string(a))
	}
	for _, w := range []string{registry.WarnAlike, registry.WarnUnverified, registry.WarnNoContact, registry.WarnLast, registry.WarnLeftAlone,
		registry.WarnSeriesEnds, registry.WarnNothing, registry.WarnCodesEnd, registry.WarnSelfClaimed, registry.WarnBelowLevel3} {
		want("ra.warning." + w)
	}
	for _, p := range []string{registry.Missing, registry.Form, "long", registry.Unseen, registry.Range, registry.Unknown, registry.Twice, registry.Taken, registry.Order} {
		want("ra.problem." + p)
	}
}

func TestWhatIsLookedAtIsWhatIsDone(t *testing.T) {
	f, _ := formOf(registry.CardRevoked)
	with := func(serial, reason string) url.Values {
		return url.Values{"serial": {serial}, "reason": {reason}, "x": {"y"}}
	}
	if f.digest(with("1", "a")) != f.digest(with("1", "b")) {
		t.Error("the reason is given on the page that was looked at")
	}
	if f.digest(with("1", "a")) == f.digest(with("2", "a")) {
		t.Error("another card looks the same")
	}
	f, _ = formOf(registry.PositionEnded)
	if f.digest(url.Values{"position": {"1"}, "reason": {"a"}}) == f.digest(url.Values{"position": {"1"}, "reason": {"b"}}) {
		t.Error("another reason looks the same")
	}
}

func TestPlain(t *testing.T) {
	for cell, want := range map[string]string{"": "", "Smith": "Smith", "=1+1": "'=1+1", "+44": "'+44", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1"} {
		if got := plain(cell); got != want {
			t.Errorf("plain(%q) = %q, want %q", cell, got, want)
		}
	}
}

const aFile = "uid,organisation,role_code,activities\n555000000101,A9A5A,R8001,B0001;B0002\n"

func TestParse(t *testing.T) {
	all, err := parse([]byte("\xef\xbb\xbf" + aFile))
	if err != nil || len(all) != 1 || all[0].values.Get("uids") != "555000000101" || all[0].values.Get("activities") != "B0001\nB0002" || all[0].number != 2 {
		t.Fatalf("parse() = %v, %v", all, err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no rows": "uid,organisation,role_code\n", "no such column": "uid,organisation,role_code,salary\n1,2,3,4\n", "a column twice": "uid,uid,organisation,role_code\n1,2,3,4\n",
		"a needed column is missing": "uid,organisation\n1,2\n", "more cells than columns": "uid,organisation,role_code\n1,2,3,4\n", "not UTF-8": "uid,organisation,role_code\n\xff,2,3\n",
		"an open quote": "uid,organisation,role_code\n\"1,2,3\n", "too many rows": "uid,organisation,role_code\n" + strings.Repeat("1,2,3\n", mostRows+1), "too long": "uid,organisation,role_code\n" + strings.Repeat("a", 1<<20),
	} {
		if all, err := parse([]byte(text)); err == nil {
			t.Errorf("%s: %d rows", name, len(all))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(aFile))
	f.Add([]byte("uid;organisation\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parse(text)
		if err == nil && (len(all) == 0 || len(all) > mostRows) {
			t.Errorf("%d rows", len(all))
		}
	})
}

func TestNationalTables(t *testing.T) {
	t.Run("own rule: an activity that is known is named, and what was typed stays", func(t *testing.T) {
		got := coded("B0360\nB0420, Prescribes\nX1", true)
		want := []registry.Coded{{Code: "B0360", Name: "View Detailed Health Records"}, {Code: "B0420", Name: "Prescribes"}, {Code: "X1"}}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if got := coded("B0360", false); got[0].Name != "" {
			t.Errorf("an area of work is named %q", got[0].Name)
		}
	})
	t.Run("own rule: a role that is known has three codes and three names", func(t *testing.T) {
		for _, role := range roles {
			if strings.Count(role[0], ":") != 2 || strings.Count(role[1], `":"`) != 2 {
				t.Errorf("%v", role)
			}
		}
	})
}
