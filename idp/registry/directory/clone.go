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
	c.Set(v)
	unshare(c)
	return c
}

// unshare gives a copy slices of its own.
func unshare(c reflect.Value) {
	switch c.Kind() {
	case reflect.Struct:
		for i := range c.NumField() {
			unshare(c.Field(i))
		}
	case reflect.Slice:
		if c.IsNil() {
			return
		}
		own := reflect.MakeSlice(c.Type(), c.Len(), c.Len())
		reflect.Copy(own, c)
		c.Set(own)
		if kind := c.Type().Elem().Kind(); kind == reflect.Struct || kind == reflect.Slice {
			for i := range c.Len() {
				unshare(c.Index(i))
			}
		}
	default:
	}
}

// Clone returns a copy of p that shares nothing with it that could change.
func (p Person) Clone() Person { return deepCopy(reflect.ValueOf(p)).Interface().(Person) }

// Clone returns a copy that shares nothing with c.
func (c Client) Clone() Client { return deepCopy(reflect.ValueOf(c)).Interface().(Client) }
