package cis1

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
)

// What a message may be: agents send some ten parameters, one of which is long.
const (
	maxParams = 64
	maxText   = 48 << 10
)

// errMessage is of what is no message. It repeats nothing of what came.
var errMessage = errors.New("this is no message of an agent")

// param is one parameter of a message.
type param struct {
	Name     string `xml:"name,attr"`
	ID       string `xml:"id,attr,omitempty"`
	OrgCode  string `xml:"orgcode,attr,omitempty"`
	Encoding string `xml:"encoding,attr,omitempty"`
	Text     string `xml:",chardata"`
}

// object is a message: gpOBJECT, which holds gpPARAM alone.
type object struct {
	XMLName xml.Name `xml:"gpOBJECT"`
	Params  []param  `xml:"gpPARAM"`
}

// get returns the text of a parameter; "" if there is none.
func (o object) get(name string) string {
	for _, p := range o.Params {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

// with puts parameters behind those of o.
func (o object) with(name, text string) object {
	o.Params = append(o.Params, param{Name: name, Text: text})
	return o
}

// readObject reads a message. It is XML of two levels and nothing else: no
// document type, so no entities; no processing instructions but the first line;
// no name space; each parameter once, with its text and the attributes that are
// known.
func readObject(in io.Reader) (object, error) {
	d := xml.NewDecoder(in) // knows UTF-8 alone, and the five entities of XML
	var o object
	var open *param
	depth, done := 0, false
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if !done || depth != 0 {
				return object{}, errMessage
			}
			return o, nil
		}
		if err != nil {
			return object{}, errMessage
		}
		switch t := t.(type) {
		case xml.StartElement:
			depth++
			switch {
			case t.Name.Space != "" || done:
				return object{}, errMessage
			case depth == 1 && t.Name.Local == "gpOBJECT" && len(t.Attr) == 0:
			case depth == 2 && t.Name.Local == "gpPARAM" && len(o.Params) < maxParams:
				p, ok := opened(t.Attr)
				if !ok || o.has(p.Name) {
					return object{}, errMessage
				}
				o.Params = append(o.Params, p)
				open = &o.Params[len(o.Params)-1]
			default:
				return object{}, errMessage
			}
		case xml.EndElement:
			if want := [...]string{1: "gpOBJECT", 2: "gpPARAM"}; depth < 1 || t.Name.Local != want[depth] || t.Name.Space != "" {
				return object{}, errMessage
			}
			depth--
			open, done = nil, depth == 0
		case xml.CharData:
			switch {
			case open != nil && len(open.Text)+len(t) <= maxText:
				open.Text += string(t)
			case len(bytes.TrimSpace(t)) > 0:
				return object{}, errMessage
			}
		case xml.ProcInst:
			if t.Target != "xml" || depth > 0 || done {
				return object{}, errMessage
			}
		default: // comments and document types: what reads a message in two ways is refused
			return object{}, errMessage
		}
	}
}

func (o object) has(name string) bool {
	for _, p := range o.Params {
		if p.Name == name {
			return true
		}
	}
	return false
}

// opened reads the attributes of a parameter.
func opened(attrs []xml.Attr) (p param, ok bool) {
	for _, a := range attrs {
		var to *string
		switch a.Name.Local {
		case "name":
			to = &p.Name
		case "encoding":
			to = &p.Encoding
		}
		const longest = 64
		if to == nil || *to != "" || a.Name.Space != "" || len(a.Value) > longest {
			return param{}, false
		}
		*to = a.Value
	}
	return p, p.Name != ""
}

// write answers with a message.
func write(w http.ResponseWriter, status int, o object) {
	body, err := xml.Marshal(o)
	if err != nil { // it is text throughout
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), body...))
}

// oneLine is text that cannot begin a line of its own.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, text)
}
