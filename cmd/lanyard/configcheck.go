package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/idp/provider"
	"github.com/lanyard-id/lanyard/store/postgres"
)

// checkConfig says every reason why a server with these settings would not be
// safe, or would not work. It asks nobody and reads no file.
func checkConfig(c Config, no *refusals) {
	checkSite(c, no)
	checkNetworks("trusted_proxies", c.TrustedProxies, no)
	checkNetworks("backchannel.networks", c.Backchannel.Networks, no)
	checkNetworks("clients.networks", c.Clients.Networks, no)
	checkRedisConfig(c.Redis, no)
	checkCards(c.Smartcard, no)
	checkCardAuthority(c.Cards, no)
	checkKeys(c, no)
	checkFederated(c, no)
	checkMail(c.SMTP, no)
	checkTimes(c, no)
	checkBridge(c, no)

	if (c.Postgres.URL == "") == (c.Postgres.URLFile == "") {
		no.add("postgres.url", "one of postgres.url and postgres.url_file is wanted", "name the registry's database")
	}
	if n := c.Postgres.MaxConns; n < 2 || n > 1000 {
		no.add("postgres.max_conns", fmt.Sprintf("%d connections", n), "write 2 to 1000")
	}
	if c.Keys.KeysetFile == "" {
		no.add("keys.keyset_file", "no keyset is named, and nothing can be sealed or opened", "make one with `lanyard keys init` and name its file")
	}
	if p := c.Keys.PKCS11; (p.Module == "") != (p.Token == "") || (p.Module == "") != (p.PINFile == "") {
		no.add("keys.pkcs11", "module, token and pin_file belong together", "name all three or none")
	}
	if e := c.Tracing.Endpoint; e != "" {
		if u, err := url.Parse(e); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			no.add("tracing.endpoint", "this is no http or https URL", "write the collector's as http://localhost:4318")
		}
	}
}

func checkSite(c Config, no *refusals) {
	switch _, err := provider.CheckIssuer(c.Issuer, provider.Layout(c.Layout)); {
	case c.Issuer == "":
		no.add("issuer", "no issuer is named", "write the URL that applications know this service by")
	case c.Layout != string(provider.Standard) && c.Layout != string(provider.CIS2):
		no.add("layout", fmt.Sprintf("%.60q is none", c.Layout), "write standard or cis2")
	case strings.Contains(c.Issuer, "@"): // there may be a password before it
		no.add("issuer", "it is not a plain http or https URL", "write it without a user, as https://id.hospital.example")
	case err != nil:
		no.add("issuer", err.Error(), "write it as https://id.hospital.example, with the path of the layout")
	case !isHTTPS(c.Issuer) && !loopback(c.Issuer):
		no.add("issuer", "http to another computer can be read and changed on the way", "use https: a balancer ends TLS in front of the servers")
	}

	listens := []struct{ key, address string }{{"listen", c.Listen}, {"ops_listen", c.OpsListen}}
	if c.Bridge.Listen != "" {
		listens = append(listens, struct{ key, address string }{"bridge.listen", c.Bridge.Listen})
	}
	var ports []string
	for _, l := range listens {
		host, port, err := net.SplitHostPort(l.address)
		if err != nil || port == "" || strings.Contains(host, "%") {
			no.add(l.key, fmt.Sprintf("%.60q is no address to listen on", l.address), "write host:port")
			continue
		}
		ports = append(ports, port)
	}
	if len(ports) > 1 && ports[0] == ports[1] && ports[0] != "0" {
		no.add("ops_listen", "it has the port of listen", "give health and metrics a port of their own: strangers must not reach them")
	}
}

// checkBridge refuses what the old service is not made for.
func checkBridge(c Config, no *refusals) {
	b := c.Bridge
	checkNetworks("bridge.networks", b.Networks, no)
	if _, wrong := cis1.ReadSwitch(b.Off); wrong != "" {
		no.add("bridge.off", fmt.Sprintf("%.60q is no application with a day", wrong), "write NAME:2027-02-28, with the name that lanyard bridge report has")
	}
	if b.Listen != "" && !b.on() {
		no.add("bridge.listen", "nothing of the old service is answered", "switch on bridge.gateway, bridge.assertion or bridge.session_manager, or leave it out")
	}
	if b.Desk && !b.Gateway {
		no.add("bridge.desk", "the gateway is off, where agents would have signed in", "switch on bridge.gateway, or this off")
	}
	if b.SHA1 && !b.Gateway {
		no.add("bridge.sha1", "the gateway is off, and SHA-1 is taken nowhere else", "switch on bridge.gateway, or this off")
	}
	if u, err := url.Parse(b.URL); b.URL != "" && (err != nil || u.Host == "" || u.User != nil || strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(b.URL))) {
		no.add("bridge.url", "this is no https URL without a path", "write it as https://gas.hospital.example")
	}
	longest := idp.LongestLegacy()
	for _, l := range []struct {
		key     string
		d, most time.Duration
	}{{"bridge.session_max", b.SessionMax, longest.Max}, {"bridge.session_idle", b.SessionIdle, min(longest.Idle, b.SessionMax)}} {
		if l.d < time.Minute || l.d > l.most {
			no.add(l.key, l.d.String()+" is out of bounds", "write %s to %s", time.Minute, l.most)
		}
	}
}

// loopback says whether a URL stays on this computer.
func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	return nearHost(u.Hostname())
}

func nearHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// checkNetworks refuses networks so wide that naming them trusts everybody.
func checkNetworks(key string, all []netip.Prefix, no *refusals) {
	for _, p := range all {
		if least := map[bool]int{true: 8, false: 16}[p.Addr().Is4()]; p.Bits() < least {
			no.add(key, p.String()+" is almost everybody", "name the networks that you mean, of /%d or smaller", least)
		}
	}
}

func checkRedisConfig(c RedisConfig, no *refusals) {
	far := false
	for _, a := range c.Addresses {
		if strings.ContainsAny(a, "@?") || strings.Contains(a, "://") {
			no.add("redis.addresses", "one of them is more than an address, and a password may stand in it", "write host:port, and put the password into the file that redis.password_file names")
			continue
		}
		host, port, err := net.SplitHostPort(a)
		if err != nil || host == "" || port == "" {
			no.add("redis.addresses", fmt.Sprintf("%.60q is no address", a), "write host:port")
			continue
		}
		far = far || !nearHost(host)
	}
	if len(c.Addresses) == 0 {
		no.add("redis.addresses", "no Redis is named", "write host:port")
	}
	if len(c.Addresses) > 1 && c.SentinelMaster == "" && !c.Cluster {
		no.add("redis.addresses", "several addresses, and neither Sentinel nor Cluster", "set redis.sentinel_master or redis.cluster, or name one address")
	}
	if c.SentinelMaster != "" && c.Cluster {
		no.add("redis.cluster", "Sentinel and Cluster exclude each other", "set redis.sentinel_master or redis.cluster")
	}
	if c.SentinelPasswordFile != "" && c.SentinelMaster == "" {
		no.add("redis.sentinel_password_file", "no Sentinel is named", "set redis.sentinel_master too")
	}
	if far && c.PasswordFile == "" {
		no.add("redis.password_file", "a Redis on another computer has no password", "give it one (requirepass, or a user) and name the file that holds it")
	}
	if far && !c.TLS {
		no.add("redis.tls", "Redis on another computer without TLS: its password and every session can be read on the way", "set redis.tls, or reach it through a tunnel on localhost")
	}
	if c.CAFile != "" && !c.TLS {
		no.add("redis.ca_file", "it has no use without TLS", "set redis.tls too")
	}
}

func checkCards(c SmartcardConfig, no *refusals) {
	if len(c.TrustFiles) == 0 {
		no.add("smartcard.trust_files", "no authority of cards is trusted, so nobody could sign in", "name the PEM files of your card authorities")
	}
	if c.Revocation != "hard" && c.Revocation != "soft" {
		no.add("smartcard.revocation", fmt.Sprintf("%.60q is no way to treat cards that nobody can vouch for", c.Revocation), "write hard or soft")
	}
	if t := c.OCSPTimeout; t < 100*time.Millisecond || t > 2*time.Second {
		no.add("smartcard.ocsp_timeout", t.String()+" is too short or too long: people wait for it", "write 100ms to 2s")
	}
	checkNetworks("smartcard.ocsp_networks", c.OCSPNetworks, no)
}

func checkTimes(c Config, no *refusals) {
	within := func(key string, d, least, most time.Duration) {
		if d < least || d > most {
			no.add(key, d.String()+" is out of bounds", "write %s to %s", least, most)
		}
	}
	p := c.Policy
	aal3, aal2 := idp.LongestAt(authenticators.AAL3), idp.LongestAt(authenticators.AAL2)
	within("policy.aal3_max", p.AAL3Max, time.Minute, aal3.Max)
	within("policy.aal3_idle", p.AAL3Idle, time.Minute, min(aal3.Idle, p.AAL3Max))
	within("policy.aal2_max", p.AAL2Max, time.Minute, aal2.Max)
	within("policy.aal2_idle", p.AAL2Idle, time.Minute, min(aal2.Idle, p.AAL2Max))
	if err := (settled{Config: c}).keyPolicy().Check(); err != nil {
		no.add("policy.keys", err.Error(), "applications remember keys, and tokens outlive the key that signed them")
	}
	if p.BeginsEach < 0 || p.BeginsEach > 0 && p.BeginsAtOnce < 1 {
		no.add("policy.begins_each", fmt.Sprintf("%d a second and %d at once", p.BeginsEach, p.BeginsAtOnce), "write 0 for as many as come, or how many and at least 1 at once")
	}
	if p.TemporaryDays < 1 || p.TemporaryDays > 365 {
		no.add("policy.temporary_days", fmt.Sprintf("%d is out of bounds", p.TemporaryDays), "write 1 to 365")
	}
	if _, err := readSecond(p.SecondPerson); err != nil {
		no.add("policy.second_person", err.Error(), "write it as in docs/registry.md")
	}
	within("shutdown.drain_delay", c.Shutdown.DrainDelay, 0, time.Minute)
	within("shutdown.drain", c.Shutdown.Drain, time.Second, 5*time.Minute)
}

// guessed are passwords and client secrets that stand in somebody's manual.
var guessed = []string{
	"admin", "change-me", "changeit", "changeme", "client-secret", "default", "demo", "demo-secret", "example", "lanyard", "my-secret",
	"not-for-production", "pass", "passw0rd", "password", "postgres", "qwerty", "redis", "root", "secret", "test", "123456", "12345678",
}

// checkSecrets looks at what the files with secrets hold.
func checkSecrets(c Config, s secrets, no *refusals) {
	key := "postgres.url"
	if c.Postgres.URLFile != "" {
		key = "postgres.url_file"
	}
	if s.postgresURL != "" {
		checkTarget(key, s.postgresURL, no)
	}
	far := slices.ContainsFunc(c.Redis.Addresses, func(a string) bool {
		host, _, err := net.SplitHostPort(a)
		return err == nil && !nearHost(host)
	})
	if far && slices.Contains(guessed, strings.ToLower(s.redisPassword)) {
		no.add("redis.password_file", "the password of Redis is one that everybody tries first", "choose a random one")
	}
	if !loopback(c.Federated.Issuer) && slices.Contains(guessed, strings.ToLower(s.federatedSecret)) {
		no.add("federated.client_secret_file", "the secret is one that everybody tries first", "have the organisation's provider make a random one")
	}
	if host, _, _ := net.SplitHostPort(c.SMTP.Address); !nearHost(host) && slices.Contains(guessed, strings.ToLower(s.smtpPassword)) {
		no.add("smtp.password_file", "the password of the mail server is one that everybody tries first", "choose a random one")
	}
}

func checkTarget(key, address string, no *refusals) {
	t, err := postgres.ReadTarget(address)
	if err != nil {
		no.add(key, err.Error(), "write it as postgres://user@host:5432/database?sslmode=verify-full")
		return
	}
	if u, err := url.Parse(address); key == "postgres.url" && (err == nil && hasPassword(u) || strings.Contains(strings.ToLower(address), "password")) {
		no.add(key, "there is a password in it", "put the URL into a file for the server's own user and name that as postgres.url_file")
	}
	switch {
	case t.Plain:
		no.add(key, "PostgreSQL on another computer may be talked to without TLS", "add sslmode=verify-full")
	case t.Unproved:
		no.add(key, "PostgreSQL on another computer is not asked to prove who it is", "use sslmode=verify-full, with sslrootcert")
	}
	if t.Far && slices.Contains(guessed, strings.ToLower(t.Password)) {
		no.add(key, "the password of PostgreSQL is one that everybody tries first", "choose a random one")
	}
}

func hasPassword(u *url.URL) bool {
	_, has := u.User.Password()
	return has
}
