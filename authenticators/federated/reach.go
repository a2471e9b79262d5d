package federated

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	mostAnswer = 256 << 10       // bytes of any answer of the upstream
	mostTold   = 160             // bytes of its words in an error of ours
	perAnswer  = 5 * time.Second // for one answer
	perProof   = 8 * time.Second // for all that one sign-in takes
)

// bounded makes a client whose answers are whole, of no more than mostAnswer
// bytes, in time, and from where they were asked for. Both libraries read what
// comes without asking how much it is, and put it into their errors.
func bounded(c *http.Client) *http.Client {
	to := *c
	if to.Timeout <= 0 || to.Timeout > perAnswer {
		to.Timeout = perAnswer
	}
	next := to.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	to.Transport = reach{next}
	to.Jar = nil
	to.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &to
}

// reach is a transport on which an answer that cannot be used is an outage.
type reach struct{ next http.RoundTripper }

// RoundTrip returns an answer that has been read, or an ErrUnreachable.
func (t reach) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	_ = resp.Body.Close()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: read the answer: %w", ErrUnreachable, err)
	case len(body) > mostAnswer:
		return nil, fmt.Errorf("%w: the answer is too large", ErrUnreachable)
	case !told(r.Method, resp.StatusCode):
		return nil, fmt.Errorf("%w: the answer has status %d", ErrUnreachable, resp.StatusCode)
	case !json.Valid(body):
		return nil, fmt.Errorf("%w: the answer is no JSON", ErrUnreachable)
	}
	// The libraries guess at other kinds of content, and we asked for this one.
	resp.Header.Set("Content-Type", "application/json")
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// told says whether an answer with that status is one: RFC 6749 §5.2 has the
// token endpoint say no with 400 or 401.
func told(method string, status int) bool {
	return status == http.StatusOK ||
		method == http.MethodPost && (status == http.StatusBadRequest || status == http.StatusUnauthorized)
}

// unreachable is err as an outage, in few enough words for a log.
func unreachable(doing string, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the address is no news
	}
	return fmt.Errorf("%w: %s: %s", ErrUnreachable, doing, cut(strings.TrimPrefix(err.Error(), ErrUnreachable.Error()+": ")))
}

// cut is what the upstream said, in one short line of plain letters.
func cut(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text[:min(len(text), mostTold)])
}
