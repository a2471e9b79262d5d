package revocation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

const (
	maxAddresses = 2    // of one kind in one certificate that are asked
	maxAddress   = 2048 // bytes of one
)

// addresses returns the first of raw that may be asked: http or https, with a
// host and without a password.
func addresses(raw []string) []string {
	var list []string
	for _, address := range raw {
		u, err := url.Parse(address)
		if err != nil || len(address) > maxAddress || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			continue
		}
		if list = append(list, address); len(list) == maxAddresses {
			break
		}
	}
	return list
}

// errSize says that an answer is larger than any that would be read.
var errSize = errors.New("the answer is too large")

// fetch returns the body of an answer with status 200 of no more than most
// bytes. A body that says that it is larger is not read at all.
func (c *Checker) fetch(ctx context.Context, method, address, contentType string, body []byte, most int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address cannot be asked")
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the address is named once, by the caller
		}
		return nil, fmt.Errorf("ask: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()

	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	if resp.ContentLength > most {
		return nil, errSize
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(b)) > most {
		return nil, errSize
	}
	return b, nil
}
