package directory

import "reflect"

// Clone returns a copy of d that shares nothing with it that could change.
func (d Document) Clone() Document {
	return deepCopy(reflect.ValueOf(d)).Interface().(Document)
}

// deepCopy knows what the types of a document are made of: structs, slices
// and values.
func deepCopy(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			c.Field(i).Set(deepCopy(v.Field(i)))
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			c.Index(i).Set(deepCopy(v.Index(i)))
		}
	default:
		c.Set(v)
	}
	return c
}

// Clone returns a copy of p that shares nothing with it that could change.
func (p Person) Clone() Person { return deepCopy(reflect.ValueOf(p)).Interface().(Person) }
