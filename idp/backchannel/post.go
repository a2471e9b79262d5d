package backchannel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/idp"
)

// Doer sends requests: an http.Client that follows no redirect, and reaches
// nothing inside our own network that nobody has named.
type Doer interface {
	Do(req *http.Request) (*http.Response, error)
}

// What is said of an application that gave no answer.
const (
	saidTimeout     = "timeout"
	saidUnreachable = "unreachable"
)

// enough is what is read of an answer: its status says all, and a body that is
// not read costs its application the connection.
const enough = 4 << 10

// post sends a logout token to an application (OIDC Back-Channel Logout §2.5)
// and returns the status of its answer. Without an answer it returns a word, and
// why in the words of the network, which have of the address its host at most.
func post(ctx context.Context, by Doer, address, token string) (said, why string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return saidUnreachable, "not an address"
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := by.Do(req)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err
		}
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
			return saidTimeout, err.Error()
		}
		return saidUnreachable, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, enough) // what it holds changes nothing
	return strconv.Itoa(resp.StatusCode), ""
}

// judge says what an answer makes of a logout. OIDC Back-Channel Logout §2.8: 200
// is done, and 204, as some frameworks send it; 400 says that the token is no
// good, and a good one would be the same. 501 is what applications say that know
// no such session, or end none. All else may be another by and by: a redirect is
// not followed, and 404 is what stands before an application while it is
// replaced.
func judge(said string) string {
	switch {
	case len(said) == 3 && said[0] == '2':
		return idp.LogoutTold
	case said == "400", said == "501":
		return idp.LogoutRefused
	}
	return idp.LogoutAgain
}
