package gateway

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// post sends a message of the old agents, and returns what is answered.
func (g *Gateway) post(ctx context.Context, path, log, service string, more ...param) (object, error) {
	o := object{Params: append([]param{{Name: "service", Text: service}, {Name: "auth_method", Text: "3"}, {Name: "app_url", Text: "NHST"},
		{Name: "log_session_id", Text: log}, {Name: "device_id", Text: g.device}}, more...)}
	body, err := xml.Marshal(o)
	if err != nil {
		return object{}, err
	}
	return g.send(ctx, path, "text/xml; charset=utf-8", append([]byte(xml.Header), body...))
}

// send posts, and returns what is answered: a refusal with an error.
func (g *Gateway) send(ctx context.Context, path, kind string, body []byte) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, max(callTime, g.c.Patience))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.c.Base+path, bytes.NewReader(body))
	if err != nil {
		return object{}, err
	}
	req.Header.Set("Content-Type", kind)
	raw, err := g.do(req)
	said, unread := readObject(raw)
	if err != nil {
		return said, err
	}
	return said, unread
}

// ErrNotThere says that who answers at a bridge's address has no gateway that
// takes sessions for this desk.
var ErrNotThere = errors.New("the bridge is not there for this desk")

// addressHeader is where a bridge says what it calls itself.
const addressHeader = "Lanyard-Bridge"

// Found is what a bridge says of itself.
type Found struct {
	At      time.Time // when it was asked; zero: it does not say
	Address string    // what it calls itself; "": it does not say
}

// Opens says whether what cards sign for the bridge at base is taken there, as far
// as it says what it calls itself.
func (f Found) Opens(base string) bool {
	return f.Address == "" || challenge.SameGateway(f.Address, base)
}

// Try looks whether a bridge is there, and opens nothing: it asks for the
// addresses of the agents in a way that no agent does.
func Try(ctx context.Context, by *http.Client, base string) (Found, error) {
	var found Found
	for _, path := range []string{activatePath, proofPath} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			return found, err
		}
		resp, err := by.Do(req)
		if err != nil {
			return found, err
		}
		_ = resp.Body.Close() // all is in its head
		if resp.StatusCode != http.StatusMethodNotAllowed {
			return found, fmt.Errorf("%w: %s answers with status %d", ErrNotThere, path, resp.StatusCode)
		}
		if said, err := http.ParseTime(resp.Header.Get("Date")); err == nil { // some proxies leave it out
			found.At = said
		}
		found.Address = resp.Header.Get(addressHeader) // bridges of before had none
	}
	return found, nil
}

// maxAnswer bounds what the bridge may answer: the roles of a person are many.
const maxAnswer = 256 << 10

func (g *Gateway) do(req *http.Request) ([]byte, error) {
	req.Header.Set("User-Agent", "lanyard-agent/"+g.c.Version)
	resp, err := g.c.HTTP.Do(req)
	if err != nil {
		return nil, errors.New("the bridge does not answer") // its address may hold a token
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, errors.New("the bridge does not answer")
	}
	if resp.StatusCode != http.StatusOK {
		return raw, fmt.Errorf("the bridge answers %d", resp.StatusCode)
	}
	return raw, nil
}

// object is a message of the old service: gpOBJECT, which holds gpPARAM alone.
type object struct {
	XMLName xml.Name `xml:"gpOBJECT"`
	Params  []param  `xml:"gpPARAM"`
}

type param struct {
	Name     string `xml:"name,attr"`
	ID       string `xml:"id,attr,omitempty"`
	Encoding string `xml:"encoding,attr,omitempty"`
	Text     string `xml:",chardata"`
}

// readObject reads what the bridge answered.
func readObject(raw []byte) (object, error) {
	var o object
	if len(raw) > maxAnswer || xml.Unmarshal(raw, &o) != nil {
		return object{}, errors.New("the bridge's answer cannot be read")
	}
	return o, nil
}

func (o object) get(name string) string {
	for _, p := range o.Params {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

// roles are the ids of the positions that a person may choose from.
func (o object) roles() []string {
	var ids []string
	for _, p := range o.Params {
		if strings.HasPrefix(p.Name, "nhsjobrole") && p.ID != "" {
			ids = append(ids, p.ID)
		}
	}
	return ids
}
