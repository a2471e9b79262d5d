package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// schema is one of JSON Schema 2020-12.
type schema = map[string]any

// member is a member of a JSON object, as a field of a Go struct has it.
type member struct {
	name     string
	of       reflect.Type
	optional bool
}

// membersOf are the members of a struct's JSON, those of embedded structs among
// them.
func membersOf(t reflect.Type) []member {
	var all []member
	for i := range t.NumField() {
		f := t.Field(i)
		tag, named := f.Tag.Lookup("json")
		if f.Anonymous && !named {
			all = append(all, membersOf(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		all = append(all, member{name, f.Type, strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")})
	}
	return all
}

// memberOf returns the field that has a member, wherever it is embedded.
func memberOf(t reflect.Type, name string) (reflect.StructField, bool) {
	return t.FieldByNameFunc(func(field string) bool {
		f, ok := t.FieldByName(field)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return ok && tag == name
	})
}

// words are what values of a type may be.
var words = map[reflect.Type][]string{
	reflect.TypeFor[idp.Profile]():          texts(idp.Verified, idp.Unverified, idp.Restricted, idp.Closed),
	reflect.TypeFor[registry.How]():         texts(registry.InPerson, registry.ByVideo, registry.Vouched),
	reflect.TypeFor[registry.Authority]():   texts(registry.Manager, registry.Advanced, registry.Agent, registry.Sponsor, registry.IDChecker, registry.CardAdmin),
	reflect.TypeFor[directory.Op]():         texts(directory.Add, directory.Change, directory.Remove),
	reflect.TypeFor[directory.CardState]():  {"active", "suspended", "blocked", "revoked"},
	reflect.TypeFor[authenticators.State](): texts(authenticators.Active, authenticators.Suspended),
	reflect.TypeFor[idp.AuthMethod]():       texts(idp.SecretBasic, idp.SecretPost, idp.PrivateKeyJWT, idp.NoAuth),
	reflect.TypeFor[registry.List]():        texts(registry.Lists...),
}

func texts[S ~string](values ...S) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// asked are the forms of what is sent, by the names of members: the service
// judges them, and a program that reads the document can before.
var asked = map[string]schema{
	"uid":          {"pattern": uidForm},
	"uids":         {"minItems": 1, "maxItems": 1000},
	"owner":        {"pattern": uidForm},
	"duplicate":    {"pattern": uidForm},
	"into":         {"pattern": uidForm},
	"by":           {"pattern": `^([0-9]{12})?$`},
	"reason":       {"maxLength": 500},
	"role":         {"pattern": `^(R[0-9]{1,6})?$`},
	"subject":      {"maxLength": 100},
	"text":         {"maxLength": 2000},
	"assurance":    {"minimum": 0, "maximum": 3},
	"organisation": {"pattern": orgForm},
	"parent":       {"pattern": `^([A-Z0-9]{2,12})?$`},
	"successor":    {"pattern": `^([A-Z0-9]{2,12})?$`},
	"role_code":    {"pattern": `^([A-Z][0-9]{1,6}:){0,2}R[0-9]{1,6}$`},
	"series":       {"minimum": 1, "maximum": 99},
	"document":     {"maxLength": maxDocument},
}

const (
	uidForm = `^[0-9]{12}$`
	orgForm = `^[A-Z0-9]{2,12}$`
)

// needed are the members that must be sent of types whose tags do not say so:
// what else is left out has its default.
var needed = map[string][]string{"Client": {"id"}, "PersonName": {"given", "family"}}

// schemas gathers the schemas of types under their names.
type schemas struct {
	named map[string]schema
	types map[string]reflect.Type
}

// mode is what a schema is for.
type mode string

const (
	answered mode = ""      // what the service writes
	sent     mode = "Input" // what it reads
	patched  mode = "Patch" // what it reads, of which all may be left out
)

// of returns the schema of a type.
func (b *schemas) of(t reflect.Type, m mode) schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[idp.Date]() && m == answered:
		return schema{"type": "string", "format": "date"}
	case t == reflect.TypeFor[idp.Date]():
		return schema{"type": "string", "pattern": `^([0-9]{4}-[0-9]{2}-[0-9]{2})?$`}
	case t == reflect.TypeFor[directory.KeySet](), t == reflect.TypeFor[json.RawMessage]():
		return schema{"type": []string{"object", "null"}}
	case words[t] != nil:
		return schema{"type": "string", "enum": words[t]}
	}
	switch t.Kind() {
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Pointer: // which is left out where it is nil
		return b.of(t.Elem(), m)
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.Slice:
		return schema{"type": "array", "items": b.of(t.Elem(), m)}
	case reflect.Struct:
		return b.refer(t, t.Name()+string(m), m, nil)
	default:
		panic(fmt.Sprintf("no schema for %s", t)) // a table that cannot be described is found by the first test
	}
}

// refer writes the schema of a struct under a name, and returns what names it.
func (b *schemas) refer(t reflect.Type, name string, m mode, skip []string) schema {
	name = plainName(name)
	if was, ok := b.types[name]; ok && was != t {
		panic(fmt.Sprintf("%s and %s have one name", was, t))
	}
	if _, ok := b.named[name]; !ok {
		b.types[name], b.named[name] = t, nil
		b.named[name] = b.object(t, m, skip)
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

// plainName is the name of a type without the brackets of what it is of.
func plainName(name string) string {
	name, of, generic := strings.Cut(name, "[")
	if generic {
		of = strings.TrimSuffix(of[strings.LastIndexAny(of, "./")+1:], "]")
		name = of + strings.ToUpper(name[:1]) + name[1:]
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// object is the schema of a struct.
func (b *schemas) object(t reflect.Type, m mode, skip []string) schema {
	properties, required := schema{}, []string{}
	for _, f := range membersOf(t) {
		if slices.Contains(skip, f.name) {
			continue
		}
		of := b.of(f.of, m)
		if m != answered && of["$ref"] == nil {
			maps.Copy(of, asked[f.name])
		}
		properties[f.name] = of
		must, special := needed[t.Name()]
		switch {
		case m == patched:
		case m == sent && special && slices.Contains(must, f.name), m == sent && !special && !f.optional && f.of.Kind() != reflect.Bool, m == answered && !f.optional:
			required = append(required, f.name)
		}
	}
	s := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	if m != answered {
		s["additionalProperties"] = false
	}
	return s
}
