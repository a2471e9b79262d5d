package main

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/store/vault"
)

// configured is a command that is told by the configuration what to do.
type configured struct {
	file  string
	flags *pflag.FlagSet
}

// onConfig gives cmd an option for every setting.
func onConfig(cmd *cobra.Command) *configured {
	c := &configured{flags: cmd.PersistentFlags()} // of what stands below it, too
	configFlags(c.flags, &c.file)
	return c
}

// read returns the settings as they are written, and where each came from.
func (c *configured) read() (Config, map[string]given, error) {
	config, from, err := readConfig(configSource{file: c.file, environ: os.Environ(), flags: c.flags})
	if err != nil {
		return config, nil, exit{exitUsage, err}
	}
	return config, from, nil
}

// settled is a configuration in which nothing was found to refuse without
// asking anybody.
type settled struct {
	Config
	secrets  secrets
	trust    cardTrust
	metadata *passkey.Metadata // nil: no file is named
	mailCAs  *x509.CertPool    // of the mail server; nil: the machine's

	authority []*x509.Certificate // that issues cards, and those above it; nil: none does
}

// settle reads and checks everything that can be checked without asking
// anybody. Of what is refused, only what matters to the command counts: keys
// that begin with one of about, or all if none is named.
func (c *configured) settle(now func() time.Time, about ...string) (settled, error) {
	config, _, err := c.read()
	if err != nil {
		return settled{}, err
	}
	s, no := settleConfig(config, now)
	if len(about) > 0 {
		no = slices.DeleteFunc(no, func(r refusal) bool {
			return !slices.ContainsFunc(about, func(a string) bool { return strings.HasPrefix(r.key, a) })
		})
	}
	return s, no.err()
}

func settleConfig(config Config, now func() time.Time) (settled, refusals) {
	var no refusals
	checkConfig(config, &no)
	s := settled{Config: config, secrets: readSecrets(config, &no)}
	checkSecrets(config, s.secrets, &no)
	if len(config.Smartcard.TrustFiles) > 0 {
		s.trust = loadTrust(config.Smartcard.TrustFiles, now(), &no)
	}
	s.authority = loadCardAuthority(config.Cards, s.trust, now(), &no)
	s.metadata = loadMetadata(config.WebAuthn, now, &no)
	s.mailCAs = loadMailAuthorities(config.SMTP, &no)
	return s, no
}

// openVault opens the keyset, and where keys are: in a token, or sealed with the
// keyset itself.
func openVault(s settled) (*vault.Keyset, vault.Vault, error) {
	keyset, err := vault.ReadKeyset(s.Keys.KeysetFile)
	if err != nil {
		return nil, nil, refusal{"keys.keyset_file", err.Error(), "name the keyset that sealed this registry; make one for a new registry with lanyard keys init --new-keyset FILE"}
	}
	t := s.Keys.PKCS11
	if t.Module == "" {
		return keyset, keyset, nil
	}
	keys, err := vault.OpenToken(vault.Token{Module: t.Module, Label: t.Token, PINFile: t.PINFile})
	if err != nil {
		return nil, nil, refusal{"keys.pkcs11", err.Error(), "see that the token is there and that this program was built for tokens"}
	}
	return keyset, keys, nil
}

// openProduction opens the registry, with what opens its keys and secrets, and
// refuses a schema that this release does not know. It returns what closes it.
func openProduction(ctx context.Context, s settled, log *slog.Logger, tracer pgx.QueryTracer) (*postgres.Store, func(), error) {
	keyset, keys, err := openVault(s)
	if err != nil {
		return nil, nil, err
	}
	store, err := postgres.Open(ctx, postgres.Config{
		URL: s.secrets.postgresURL, Now: time.Now, Sealer: keyset, Vault: keys, KeyPolicy: s.keyPolicy(), CardIssuer: s.cardIssuer(),
		Log: log, MaxConns: int32(s.Postgres.MaxConns), Tracer: tracer, //nolint:gosec // 1000 at most
	})
	if err != nil {
		return nil, nil, errors.Join(err, keys.Close())
	}
	closeAll := func() { store.Close(); _ = keys.Close() }
	have, want, err := store.Schema(ctx)
	if err != nil {
		closeAll()
		return nil, nil, ending(err)
	}
	var no refusals
	judgeSchema(have, want, &no)
	if err := no.err(); err != nil {
		closeAll()
		return nil, nil, err
	}
	return store, closeAll, nil
}

// keysGroup are the commands about signing keys, told by the configuration.
func keysGroup() *cobra.Command {
	var p *configured
	cmd := keysCommand(func(ctx context.Context) (keyStore, func(), error) { return p.opener(ctx) }, time.Now)
	cmd.AddCommand(keysCardAuthority(func(context.Context) (vault.Vault, error) {
		s, err := p.settle(time.Now, "keys.")
		if err != nil {
			return nil, err
		}
		_, keys, err := openVault(s)
		return keys, err
	}, time.Now))
	p = onConfig(cmd)
	return cmd
}

// auditGroup are those about the journal.
func auditGroup() *cobra.Command {
	var p *configured
	cmd := auditCommand(func(ctx context.Context) (*postgres.Store, func(), error) { return p.opener(ctx) },
		func(ctx context.Context, store *postgres.Store) (postgres.PublicKeys, error) {
			err := ending(store.LoadKeys(ctx))
			return store.SigningKeys().Key, err
		})
	p = onConfig(cmd)
	return cmd
}

func (s settled) keyPolicy() idp.KeyPolicy {
	k := s.Policy.Keys
	return idp.KeyPolicy{RotateEvery: k.RotateEvery, PublishBefore: k.PublishBefore, KeepAfter: k.KeepAfter}
}

// opener opens the registry for a command that asks nothing else.
func (c *configured) opener(ctx context.Context) (*postgres.Store, func(), error) {
	s, err := c.settle(time.Now, "postgres.", "keys.", "policy.keys")
	if err != nil {
		return nil, nil, err
	}
	return openProduction(ctx, s, logAt(os.Stderr, slog.LevelWarn), nil)
}

// ending gives an error of a store the status that scripts act on.
func ending(err error) error {
	if errors.Is(err, idp.ErrUnavailable) {
		return exit{exitUnreached, err}
	}
	return err
}
