package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/desk"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/gateway"
)

// apart is how far two clocks may be from each other. The agent goes by the
// service's, but certificates are judged by this computer's.
const apart = time.Minute

// service asks for the service's discovery document, as applications do, and
// for its pages.
func (e *examination) service(ctx context.Context, s desk.Service) {
	of := "service " + s.Alias
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	by := desk.NewClient()
	said, at, err := discovered(ctx, by, strings.TrimSuffix(s.Issuer, "/")+"/.well-known/openid-configuration")
	switch {
	case err != nil:
		e.note(fail, of, "it does not answer: "+firstLine(err), "see that this computer reaches it, and trusts who issued its certificate")
		return
	case said != s.Issuer:
		e.note(fail, of, fmt.Sprintf("who answers there calls itself %.200q, and the settings say %q", said, s.Issuer), "write Issuer to the letter")
		return
	}
	e.note(fine, of, "it answers, and under its name", "")
	if !strings.HasPrefix(s.Issuer+"/", s.Origin+"/") {
		if err := answers(ctx, by, s.Origin+"/"); err != nil {
			e.note(fail, of, "its pages do not answer: "+firstLine(err), "see that this computer reaches "+s.Origin)
		}
	}
	e.clock(s.Alias, at)
}

// clock compares somebody's clock with this computer's; zero if they do not say.
func (e *examination) clock(whose string, at time.Time) {
	if at.IsZero() {
		return
	}
	ahead := at.Sub(e.now()).Round(time.Second)
	switch {
	case ahead > apart || ahead < -apart:
		e.note(warn, "clock", fmt.Sprintf("that of %s is %s ahead of this computer's", whose, ahead), "see that this computer asks a time server (NTP)")
	default:
		e.note(fine, "clock", fmt.Sprintf("that of %s is %s ahead of this computer's", whose, ahead), "")
	}
}

// bridge looks whether the bridge to the old service is there. Without it people
// sign in with their card as ever.
func (e *examination) bridge(ctx context.Context, s desk.Service) {
	if s.Bridge == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := gateway.Try(ctx, desk.NewClient(), s.Bridge)
	switch {
	case errors.Is(err, gateway.ErrNotThere):
		e.note(warn, "bridge", firstLine(err), "see that the service has bridge.gateway and bridge.desk, and bridge.networks this computer's; people sign in with their card meanwhile")
		return
	case err != nil:
		e.note(warn, "bridge", s.Bridge+" does not answer: "+firstLine(err), "see that this computer reaches it, and trusts who issued its certificate; people sign in with their card meanwhile")
		return
	case !found.Opens(s.Bridge):
		e.note(warn, "bridge", fmt.Sprintf("the bridge calls itself %.200q, and the settings say %q: people sign in with their card each time", found.Address, s.Bridge),
			"write the service's bridge.url as Bridge")
	default:
		e.note(fine, "bridge", s.Bridge+" answers, and takes sessions of the old service from this desk", "")
	}
	e.clock("the bridge", found.At)
}

// answers asks for an address, and follows no redirect. Any answer will do.
func answers(ctx context.Context, by *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := by.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// discovered is the issuer that a discovery document names, and when the
// service says it was asked.
func discovered(ctx context.Context, by *http.Client, address string) (string, time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", time.Time{}, err
	}
	resp, err := by.Do(req)
	if err != nil {
		return "", time.Time{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", time.Time{}, fmt.Errorf("status %d", resp.StatusCode)
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	const most = 256 << 10
	if err := json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&document); err != nil {
		return "", time.Time{}, errors.New("what it answers is no discovery document")
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		at = time.Time{} // some gateways leave it out
	}
	return document.Issuer, at, nil
}

// olderPorts are where older products listen on loopback: the first two are
// those of credential management, the others those of its port service.
var olderPorts = []int{43485, 55000, 43487, 44213, 45031, 46478, 48853}

// olderProducts looks for what older products left running or installed. Two
// agents at one desk ask people twice, or take the card from each other.
func (e *examination) olderProducts(ctx context.Context) {
	found := e.installedBefore()
	for _, port := range e.ports {
		d := net.Dialer{Timeout: 300 * time.Millisecond}
		if c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = c.Close()
			found = append(found, fmt.Sprintf("something listens on port %d, as an older product does", port))
		}
	}
	for _, f := range found {
		e.note(warn, "older products", f, "take the older product off this computer once nobody needs it: two agents take the card from each other")
	}
	if len(found) == 0 {
		e.note(fine, "older products", "no Identity Agent and no Credential Management was found", "")
	}
}
