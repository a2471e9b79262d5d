package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/store/redis"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that a server stands on, and say what to do",
		Long: "Reads the configuration, asks PostgreSQL, Redis, the keys and the authorities of cards, and looks at the service\n" +
			"from outside. It changes nothing. It ends with 0 if nothing failed, and with 1 otherwise; a warning is no failure.",
		Args: cobra.NoArgs,
	}
	var asJSON bool
	p := onConfig(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the findings as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, _, err := p.read()
		if err != nil {
			return err
		}
		e := examination{now: time.Now}
		e.examine(cmd.Context(), config)
		if err := e.print(cmd.OutOrStdout(), asJSON); err != nil {
			return err
		}
		if slices.ContainsFunc(e.findings, func(f finding) bool { return f.Verdict == fail }) {
			return errors.New("something failed")
		}
		return nil
	}
	return cmd
}

func (e *examination) examine(ctx context.Context, c Config) {
	s, no := settleConfig(c, e.now)
	if e.refused(no) {
		e.note(fine, "settings", "there is nothing to refuse", "")
	}
	if c.Smartcard.Revocation == "soft" {
		e.note(warn, "smartcard.revocation", "cards that nobody can vouch for sign in at AAL2", "use hard, unless your hospital has decided on it")
	}
	e.trust(s.trust)
	if !no.of(metadataKey) && !no.of("webauthn.metadata_root_file") {
		e.metadata(s.metadata)
	}
	if !no.of("federated.issuer") {
		e.federation(ctx, s)
	}
	if !slices.ContainsFunc(no, func(r refusal) bool { return strings.HasPrefix(r.key, "smtp.") }) {
		e.mail(ctx, s)
	}
	if !no.of("redis.addresses") { // who dials says what was dialled
		e.redis(ctx, s)
	}
	e.postgres(ctx, s)
	if !no.of("issuer") {
		e.issuer(ctx, c)
	}
}

// notice is how long before the end of an authority somebody should see to it.
const notice = 90 * 24 * time.Hour

func (e *examination) trust(t cardTrust) {
	for _, c := range t.authorities {
		says := fmt.Sprintf("%s ends on %s", c.Subject, c.NotAfter.UTC().Format(time.DateOnly))
		if c.NotAfter.Sub(e.now()) < notice {
			e.note(warn, trustKey, says, "have its successor in the file before that: afterwards no server starts with it")
			continue
		}
		e.note(fine, trustKey, says, "")
	}
}

func (e *examination) metadata(m *passkey.Metadata) {
	if m == nil {
		e.note(warn, metadataKey, "there is none, so no passkey and no security key is worth AAL3", "fetch what the FIDO Alliance publishes, and name the file")
		return
	}
	known, unread := m.Models()
	says := fmt.Sprintf("number %d, of %d models; the next is due on %s", m.Number(), known, m.NextUpdate().UTC().Format(time.DateOnly))
	if unread > 0 {
		says += fmt.Sprintf("; of %d it says what cannot be read", unread)
	}
	switch left := -m.Stale(); {
	case left <= 0:
		e.note(warn, metadataKey, says+", which is past", "fetch the next one: models that were revoked since are not known, and after webauthn.metadata_grace no key is worth AAL3")
	case left < metadataNotice:
		e.note(warn, metadataKey, says, "fetch the next one before that")
	default:
		e.note(fine, metadataKey, says, "")
	}
}

// federation asks the organisation's own provider for its name, as servers do.
func (e *examination) federation(ctx context.Context, s settled) {
	up := s.upstream()
	if up == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said, err := discovered(ctx, up.HTTP, strings.TrimSuffix(up.Issuer, "/")+"/.well-known/openid-configuration")
	switch {
	case err != nil:
		e.note(warn, "federated.issuer", "it does not answer: "+firstLine(err), "see that it can be reached from here; inside your own network name that in federated.networks")
	case said != up.Issuer:
		e.note(fail, "federated.issuer", fmt.Sprintf("who answers there calls itself %.200q", said), "write the issuer to the letter")
	default:
		e.note(fine, "federated.issuer", "it answers, and under its name", "")
	}
}

func (e *examination) mail(ctx context.Context, s settled) {
	if s.SMTP.Address == "" {
		e.note(warn, "smtp", "no mail server is named: nobody is told by mail of what changes, and codes by mail do not come", "set smtp.address and smtp.from")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.mailServer().Check(ctx); err != nil {
		e.note(warn, "smtp", firstLine(err), "see that it can be reached from here, that its certificate is good and that it takes our user; mails wait for a day")
		return
	}
	e.note(fine, "smtp", "it answers, proves who it is and takes our mails", "")
}

func (e *examination) outbox(ctx context.Context, store *postgres.Store) {
	n, err := store.MailsWaiting(ctx)
	switch {
	case err != nil:
		e.note(fail, "outbox", firstLine(err), "see that PostgreSQL answers")
	case n > 100:
		e.note(warn, "outbox", fmt.Sprintf("%d mails wait", n), "see that a server runs, and to the mail server")
	default:
		e.note(fine, "outbox", fmt.Sprintf("%d mails wait", n), "")
	}
}

func (e *examination) postgres(ctx context.Context, s settled) {
	if s.secrets.postgresURL == "" {
		return // refused above
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pg, err := postgres.Inspect(asking, s.secrets.postgresURL, e.now)
	if err != nil {
		e.note(fail, "postgres", "it does not answer: "+firstLine(err), "see that it runs, that it can be reached from here, and that the user may connect")
		return
	}
	var no refusals
	judgePostgres(pg, &no)
	if e.refused(no) {
		e.note(fine, "postgres", fmt.Sprintf("version %d.%d, synchronous_commit %s, TLS %v", pg.Version/10000, pg.Version%10000, pg.SynchronousCommit, pg.TLS), "")
	}
	if !pg.FSync || !pg.FullPageWrites {
		e.note(fail, "postgres", "fsync or full_page_writes is off: what it acknowledges can be lost, or its files with it", "set both to on")
	}
	e.clock("postgres", pg.Ahead)
	e.registry(ctx, s)
}

// registry looks at the schema, the keys and the applications.
func (e *examination) registry(ctx context.Context, s settled) {
	store, closeStore, err := openProduction(ctx, s, discard(), nil)
	if err != nil {
		if r, ok := errors.AsType[refusal](err); ok {
			e.refused(refusals{r})
			return
		}
		e.note(fail, "registry", firstLine(err), "run lanyard migrate status")
		return
	}
	defer closeStore()
	have, want, err := store.Schema(ctx)
	switch {
	case err != nil:
		e.note(fail, "registry", firstLine(err), "see that PostgreSQL answers")
		return
	case have < want:
		e.note(warn, "registry", fmt.Sprintf("the schema is at %d, and this release brings %d", have, want), "run lanyard migrate up before the release after this one")
	default:
		e.note(fine, "registry", fmt.Sprintf("the schema is at %d", have), "")
	}
	var no refusals
	err = checkRegistry(ctx, store, &no)
	e.refused(no)
	if err != nil {
		e.note(fail, "registry", firstLine(err), "see that PostgreSQL answers")
		return
	}
	e.keys(ctx, store, s)
	e.outbox(ctx, store)
	e.backchannel(ctx, store)
}

// backchannel says which applications are not told that sessions have ended.
func (e *examination) backchannel(ctx context.Context, store *postgres.Store) {
	counts, err := store.CountLogouts(ctx)
	if err != nil {
		e.note(fail, "backchannel", firstLine(err), "see that PostgreSQL answers")
		return
	}
	for _, c := range counts {
		says := fmt.Sprintf("client %.60q: %d logouts wait and %d failed within a day; it said %.60q last", c.Client, c.Waiting, c.Failed, c.Said)
		e.note(warn, "backchannel", says, "see that it can be reached from here, that its certificate is good and that it takes our logout tokens; inside your own network name that in backchannel.networks")
	}
	if len(counts) == 0 {
		e.note(fine, "backchannel", "every application that had to be told of a session's end was", "")
	}
}

func (e *examination) keys(ctx context.Context, store *postgres.Store, s settled) {
	all, err := store.ListKeys(ctx)
	if err != nil {
		e.note(fail, "keys", firstLine(err), "see that PostgreSQL answers")
		return
	}
	for _, k := range all {
		state := k.State(e.now())
		switch {
		case k.Problem != nil && state != idp.KeyRevoked && state != idp.KeyGone:
			e.note(fail, "keys", fmt.Sprintf("%s: %s", k.ID, firstLine(k.Problem)), "use the keyset that sealed it, or revoke it with lanyard keys revoke")
		case state == idp.KeyCurrent && k.SignsUntil.IsZero():
			e.note(fine, "keys", fmt.Sprintf("%s (%s) signs; its successor is published about %s", k.ID, k.Kind,
				k.SignsFrom.Add(s.Policy.Keys.RotateEvery-s.Policy.Keys.PublishBefore).UTC().Format(time.DateOnly)), "")
		case state == idp.KeyCurrent:
			e.note(fine, "keys", fmt.Sprintf("%s (%s) signs until %s", k.ID, k.Kind, moment(k.SignsUntil)), "")
		case state == idp.KeyNext || state == idp.KeyRetired:
			e.note(fine, "keys", fmt.Sprintf("%s (%s) is %s", k.ID, k.Kind, state), "")
		}
	}
}

func (e *examination) redis(ctx context.Context, s settled) {
	var no refusals
	rdb := newRedis(s.Redis, s.secrets, &no)
	defer func() { _ = rdb.Close() }()
	e.refused(no)
	no = nil
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nodes, err := redis.Inspect(asking, rdb, e.now)
	if judgeCluster(err, &no) {
		e.refused(no)
		return
	}
	if err != nil {
		e.note(fail, "redis", "it does not answer: "+firstLine(err), "see that it runs, that it can be reached from here, and that the password is right")
		return
	}
	for _, node := range nodes {
		var no refusals
		judgeRedis(s.Redis, node, &no)
		if e.refused(no) {
			e.note(fine, "redis", strings.TrimSpace(fmt.Sprintf("version %s, %s %s", node.Version, node.Policy, node.Address)), "")
		}
		if !node.AppendOnly {
			e.note(warn, "redis", "it writes nothing down as it goes (appendonly no): when it starts again, everybody signs in again", "set appendonly yes")
		}
		switch {
		case node.Replicas == 0:
			e.note(warn, "redis", "it has no replica: while it is gone, nobody signs in", "give it one, and Sentinels or a Cluster that promote it")
		case !node.WaitsForReplicas:
			e.note(warn, "redis", "it takes writes while cut off from its replicas, and what it then acknowledges is lost", "set min-replicas-to-write 1 and min-replicas-max-lag 10")
		}
		e.clock("redis", node.Ahead)
	}
}

func (e *examination) clock(of string, ahead time.Duration) {
	says := fmt.Sprintf("its clock is %s ahead of ours", ahead.Round(time.Millisecond))
	if apart(ahead) {
		e.note(warn, of, says, "see that both ask a time server (NTP)")
		return
	}
	e.note(fine, of, says, "")
}

// issuer looks at the service as applications do.
func (e *examination) issuer(ctx context.Context, c Config) {
	if c.Issuer == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said, err := discovered(ctx, http.DefaultClient, strings.TrimSuffix(c.Issuer, "/")+"/.well-known/openid-configuration")
	switch {
	case err != nil:
		e.note(warn, "issuer", "nobody answers as applications would ask: "+firstLine(err), "if a server runs, see to the balancer, its certificate and its names")
	case said != c.Issuer:
		e.note(fail, "issuer", fmt.Sprintf("who answers there calls itself %.200q", said), "set issuer to what applications know, to the letter")
	default:
		e.note(fine, "issuer", "it answers, and under its name", "")
	}
}

// discovered is the issuer that a discovery document names.
func discovered(ctx context.Context, by *http.Client, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := by.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	const enough = 256 << 10
	if err := json.NewDecoder(io.LimitReader(resp.Body, enough)).Decode(&document); err != nil {
		return "", errors.New("what it answers is no discovery document")
	}
	return document.Issuer, nil
}
