package ra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp/registry"
)

// mostLines bounds a list that somebody types.
const mostLines = 1000

// change makes the change that values say. What is not a number where one is
// wanted is a registry.Refused.
func (f form) change(values url.Values) (registry.Change, error) {
	object := map[string]any{}
	var wrong []registry.Field
	for _, fl := range f.fields {
		value, problem := fl.read(values[fl.name])
		if problem != "" {
			wrong = append(wrong, registry.Field{Name: fl.name, Problem: problem})
		} else if value != nil {
			put(object, fl.name, value)
		}
	}
	if values.Get("confirmed") == "true" && confirmable(f.kind) {
		object["confirmed"] = true
	}
	if len(wrong) > 0 {
		return nil, &registry.Refused{Refusal: registry.ErrField, Fields: wrong}
	}
	b, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write change: %w", err)
	}
	return registry.Read(f.kind, b)
}

// confirmable says whether a change has something that must be confirmed.
func confirmable(kind registry.Kind) bool {
	return slices.Contains([]registry.Kind{registry.PersonAdded, registry.PersonChanged, registry.PersonVerified, registry.PositionAssigned, registry.PositionChanged, registry.TemporaryGranted,
		registry.ApplicantInvited, registry.ApplicantAccepted}, kind)
}

// put sets a value under a name with dots.
func put(object map[string]any, name string, value any) {
	for {
		first, rest, deeper := strings.Cut(name, ".")
		if !deeper {
			object[name] = value
			return
		}
		inner, ok := object[first].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[first] = inner
		}
		object, name = inner, rest
	}
}

// read makes of what was sent for a field what its JSON has: nil for nothing.
func (fl field) read(sent []string) (value any, problem string) {
	text := ""
	if len(sent) > 0 {
		text = strings.TrimSpace(strings.ReplaceAll(sent[0], "\r\n", "\n"))
	}
	as := fl.as
	if as == target && fl.is != 0 {
		as = fl.is
	}
	switch {
	case as == many:
		if len(sent) > 0 {
			return sent[:min(len(sent), mostLines)], ""
		}
		return nil, ""
	case text == "":
		return nil, ""
	case as == number, fl.name == "check.assurance":
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, registry.Form
		}
		return n, ""
	case as == tick:
		return text == "true", ""
	case as == lines:
		return list(text), ""
	case as == codes:
		return coded(text, fl.name == "activities"), ""
	}
	return text, ""
}

// list are the words of a list that somebody typed: one to a line, or with
// commas or spaces between.
func list(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ',' || r == ';' || r == ' ' || r == '\t' })
	return words[:min(len(words), mostLines)]
}

// coded are the codes of a list that somebody typed, one to a line, each with
// its name behind a comma. An activity may have the name of its code.
func coded(text string, activity bool) []registry.Coded {
	var all []registry.Coded
	for line := range strings.SplitSeq(text, "\n") {
		code, name, _ := strings.Cut(line, ",")
		code, name = strings.TrimSpace(code), strings.TrimSpace(name)
		if activity && name == "" {
			name = activities[code]
		}
		if code != "" && len(all) < mostLines {
			all = append(all, registry.Coded{Code: code, Name: name})
		}
	}
	return all
}

// sent are the values of a form's own fields in what was sent: nothing else of
// it counts.
func (f form) sent(values url.Values) url.Values {
	own := url.Values{}
	for _, fl := range f.fields {
		for _, v := range values[fl.name] {
			if strings.TrimSpace(v) != "" && (fl.as == many || !own.Has(fl.name)) {
				own.Add(fl.name, strings.ReplaceAll(v, "\r\n", "\n")) // what stands in the address may be in the form too
			}
		}
	}
	return own
}

// digest is what is looked at before it is done: all that a change says, but
// for the words of a reason that is given on the same page.
func (f form) digest(values url.Values) string {
	own := f.sent(values)
	if f.short {
		own.Del("reason")
	}
	return string(f.kind) + "?" + own.Encode()
}

// trial is a change as it would be with what stands in for what is not filled
// in, for each organisation at which its actor holds an authority.
func (f form) trials(values url.Values, held []registry.Held) []registry.Change {
	var tried []string
	var all []registry.Change
	for _, h := range held {
		if slices.Contains(tried, h.Organisation) {
			continue
		}
		tried = append(tried, h.Organisation)
		v, chooses := url.Values{}, false
		v.Set("reason", "-")
		for name, value := range f.stand {
			if value == anyOwn {
				value, chooses = h.Organisation, true
			}
			v.Set(name, value)
		}
		for name, given := range values {
			if len(given) > 0 && given[0] != "" {
				v[name] = given
			}
		}
		if ch, err := f.change(v); err == nil {
			all = append(all, ch)
		}
		if !chooses {
			break
		}
	}
	return all
}

// problemAt returns the name of the form's field that a field of a change is, or
// "" if it is none: uids.3 is uids.
func (f form) problemAt(name string) (fl field, rest string, ok bool) {
	for _, fl := range f.visible() {
		if name == fl.name {
			return fl, "", true
		}
		if after, found := strings.CutPrefix(name, fl.name+"."); found {
			return fl, after, true
		}
	}
	return field{}, "", false
}

// refusedFields are the fields that an error names.
func refusedFields(err error) []registry.Field {
	if no, ok := errors.AsType[*registry.Refused](err); ok {
		return no.Fields
	}
	return nil
}

// valuesOf are the values of a form that says what a change in JSON says.
func valuesOf(change []byte) (url.Values, error) {
	var object map[string]any
	if err := json.Unmarshal(change, &object); err != nil {
		return nil, fmt.Errorf("read change: %w", err)
	}
	values := url.Values{}
	flatten(values, "", object)
	return values, nil
}

func flatten(values url.Values, under string, object map[string]any) {
	for name, value := range object {
		name = under + name
		switch value := value.(type) {
		case map[string]any:
			flatten(values, name+".", value)
		case []any:
			values.Set(name, flatList(value))
		case nil:
		default:
			values.Set(name, fmt.Sprint(value))
		}
	}
}

// flatList is a list as somebody would type it.
func flatList(list []any) string {
	var out []string
	for _, item := range list {
		if coded, ok := item.(map[string]any); ok {
			text := fmt.Sprint(coded["code"])
			if name, ok := coded["name"].(string); ok && name != "" {
				text += ", " + name
			}
			out = append(out, text)
			continue
		}
		out = append(out, fmt.Sprint(item))
	}
	return strings.Join(out, "\n")
}
