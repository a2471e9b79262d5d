package ra

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"unicode/utf8"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// mostUpload is how much of a form with files is read: what the form may bring
// is bounded before, and none of it goes to a disk.
const mostUpload = 64 << 10

// beside is the name under which a file comes that a field may have in the place
// of text.
func beside(name string) string { return name + "_file" }

// parsed reads what was sent. A file that cannot be a field's text is a Refused
// that names the field.
func (a *asked) parsed(v visit) error {
	kind, _, err := mime.ParseMediaType(v.Header.Get("Content-Type"))
	if v.Method != http.MethodPost || err != nil || kind != "multipart/form-data" {
		if v.ParseForm() != nil {
			return idp.ErrRequest
		}
		a.values = v.Form
		return nil
	}
	err = v.ParseMultipartForm(mostUpload)
	a.values = v.Form
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return a.tooLong()
	}
	if err != nil {
		return idp.ErrRequest
	}
	for _, fl := range a.fields {
		if files := v.MultipartForm.File[beside(fl.name)]; fl.file != "" && len(files) > 0 && files[0].Size > 0 {
			text, err := textOf(files[0])
			if err != nil {
				return err
			}
			a.values.Del(fl.name)
			if !utf8.ValidString(text) {
				return &registry.Refused{Refusal: registry.ErrField, Fields: []registry.Field{{Name: fl.name, Problem: registry.Form}}}
			}
			a.values.Set(fl.name, text)
		}
	}
	return nil
}

// tooLong refuses what was sent for the field that may have a file: what else
// there is in a form is short.
func (a *asked) tooLong() error {
	refused := &registry.Refused{Refusal: registry.ErrField}
	for _, fl := range a.fields {
		if fl.file != "" {
			refused.Fields = append(refused.Fields, registry.Field{Name: fl.name, Problem: registry.TooLong})
		}
	}
	return refused
}

// textOf is what is in a file that was sent.
func textOf(sent *multipart.FileHeader) (string, error) {
	f, err := sent.Open()
	if err != nil {
		return "", idp.ErrRequest
	}
	text, err := io.ReadAll(io.LimitReader(f, mostUpload))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", idp.ErrRequest
	}
	return string(text), nil
}
