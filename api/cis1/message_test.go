package cis1

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
)

func TestReadObject(t *testing.T) {
	const good = `<?xml version="1.0" encoding="UTF-8"?>
<gpOBJECT>
  <gpPARAM name="service">ACTIVATION</gpPARAM>
  <gpPARAM name="response" encoding="base64">QUJD&amp;</gpPARAM>
</gpOBJECT>`
	o, err := readObject(strings.NewReader(good))
	if err != nil || o.get("service") != "ACTIVATION" || o.get("response") != "QUJD&" || o.Params[1].Encoding != "base64" {
		t.Fatalf("%+v, %v", o, err)
	}
	for what, text := range map[string]string{
		"a document type":         `<!DOCTYPE gpOBJECT><gpOBJECT></gpOBJECT>`,
		"entities":                `<!DOCTYPE a [<!ENTITY x "y">]><gpOBJECT><gpPARAM name="a">&x;</gpPARAM></gpOBJECT>`,
		"an entity that is not":   `<gpOBJECT><gpPARAM name="a">&x;</gpPARAM></gpOBJECT>`,
		"a comment":               `<gpOBJECT><gpPARAM name="a">AC<!-- -->TIVATION</gpPARAM></gpOBJECT>`,
		"an instruction":          `<gpOBJECT><?php ?></gpOBJECT>`,
		"another root":            `<object/>`,
		"two roots":               `<gpOBJECT/><gpOBJECT/>`,
		"text outside":            `<gpOBJECT/>text`,
		"text between":            `<gpOBJECT>text</gpOBJECT>`,
		"three levels":            `<gpOBJECT><gpPARAM name="a"><b/></gpPARAM></gpOBJECT>`,
		"a parameter twice":       `<gpOBJECT><gpPARAM name="a">1</gpPARAM><gpPARAM name="a">2</gpPARAM></gpOBJECT>`,
		"an attribute twice":      `<gpOBJECT><gpPARAM name="a" name="b">1</gpPARAM></gpOBJECT>`,
		"an unknown attribute":    `<gpOBJECT><gpPARAM name="a" href="b">1</gpPARAM></gpOBJECT>`,
		"a name space":            `<x:gpOBJECT xmlns:x="urn:x"/>`,
		"no name":                 `<gpOBJECT><gpPARAM>1</gpPARAM></gpOBJECT>`,
		"another encoding":        `<?xml version="1.0" encoding="UTF-16"?><gpOBJECT/>`,
		"an end that is not":      `<gpOBJECT><gpPARAM name="a">1</gpOBJECT></gpPARAM>`,
		"no end":                  `<gpOBJECT><gpPARAM name="a">1`,
		"nothing":                 ``,
		"a parameter without end": `<gpOBJECT><gpPARAM name="a">` + strings.Repeat("a", maxText+1) + `</gpPARAM></gpOBJECT>`,
		"too many parameters":     `<gpOBJECT>` + strings.Repeat(`<gpPARAM name="a`+`">1</gpPARAM>`, maxParams+1) + `</gpOBJECT>`,
		"deep":                    strings.Repeat("<gpOBJECT>", 20000),
	} {
		t.Run("own rule: a message is of two levels and nothing else: "+what, func(t *testing.T) {
			if o, err := readObject(strings.NewReader(text)); err == nil {
				t.Errorf("it is read: %+v", o)
			}
		})
	}
}

func FuzzReadObject(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><gpOBJECT><gpPARAM name="service">ACTIVATION</gpPARAM></gpOBJECT>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY x "y">]><gpOBJECT>&x;</gpOBJECT>`))
	f.Add([]byte(`<gpOBJECT><gpPARAM name="a" encoding="base64">&#65;</gpPARAM></gpOBJECT>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := readObject(bytes.NewReader(raw))
		if err != nil {
			return
		}
		again, err := xml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		same, err := readObject(bytes.NewReader(again))
		if err != nil || len(same.Params) != len(o.Params) {
			t.Fatalf("%q was read as %+v, and what that is written as is not: %v", raw, o, err)
		}
		for i := range o.Params {
			if want := strings.ToValidUTF8(o.Params[i].Text, "\uFFFD"); same.Params[i].Name != o.Params[i].Name || same.Params[i].Text != want {
				t.Fatalf("%q is %q then", o.Params[i], same.Params[i])
			}
		}
	})
}
