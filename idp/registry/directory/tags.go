package directory

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
)

// field is one key of a mapping, as the tag of its struct field describes it.
type field struct {
	index    int
	key      string
	also     string
	required bool
	flow     bool
	def      string
	enum     []string
	form     form
	ranged   bool
	min, max int
}

// shapes remembers the fields of each type, for one reading or writing.
type shapes map[reflect.Type][]field

func (s shapes) of(t reflect.Type) []field {
	fields, ok := s[t]
	if !ok {
		for i := range t.NumField() {
			fields = append(fields, parseTag(i, t.Field(i)))
		}
		s[t] = fields
	}
	return fields
}

// parseTag panics if the tag is wrong: then so is this package.
func parseTag(index int, sf reflect.StructField) field {
	tag := sf.Tag.Get("doc")
	parts := strings.Split(tag, ",")
	f := field{index: index, key: parts[0]}
	if sf.Type == reflect.TypeFor[idp.Date]() {
		f.form = forms["date"]
	}
	for _, option := range parts[1:] {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "required":
			f.required = true
		case "flow":
			f.flow = true
		case "default":
			f.def = value
		case "also":
			f.also = value
		case "enum":
			f.enum = enums[value]
		case "form":
			f.form = forms[value]
		case "range":
			low, high, _ := strings.Cut(value, "..")
			f.ranged, f.min, f.max = true, number(low), number(high)
		default:
			panic(fmt.Sprintf("directory: tag %q: unknown option %q", tag, option))
		}
	}
	return f
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("directory: tag: " + err.Error())
	}
	return n
}

// setDefault puts into v what the absence of f means. v is zero.
func (f field) setDefault(v reflect.Value) {
	if f.def == "" {
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		words := strings.Fields(f.def)
		v.Set(reflect.MakeSlice(v.Type(), len(words), len(words)))
		for i, w := range words {
			field{def: w}.setDefault(v.Index(i))
		}
	case reflect.String:
		v.SetString(f.def)
	case reflect.Int:
		v.SetInt(int64(number(f.def)))
	case reflect.Bool:
		v.SetBool(f.def == "true")
	default:
		panic(fmt.Sprintf("directory: %s has a default", v.Type()))
	}
}
