package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxSecretFile is how long a file with a secret may be.
const maxSecretFile = 64 << 10

// readSecret returns what a file holds that only we may read. The reason is
// in words for an operator and holds nothing of the file.
func readSecret(path string) (secret []byte, reason error) {
	// Before it is opened, because opening a pipe would wait for its writer;
	// and after, because it may be another by then.
	info, err := os.Stat(path)
	if err != nil {
		return nil, plainly(err)
	}
	if err := exposed(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(path) //nolint:gosec // the file that the operator named
	if err != nil {
		return nil, plainly(err)
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil {
		return nil, plainly(err)
	}
	if err := exposed(path, info); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return nil, plainly(err)
	}
	return b, nil
}

// exposed says why a file is not fit for a secret.
func exposed(path string, info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case !mode.IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case mode.Perm()&0o007 != 0:
		return fmt.Errorf("%s may be read by everybody (mode %04o)", path, mode.Perm())
	case mode.Perm()&0o020 != 0:
		return fmt.Errorf("%s may be changed by others (mode %04o)", path, mode.Perm())
	case info.Size() == 0:
		return fmt.Errorf("%s is empty", path)
	case info.Size() > maxSecretFile:
		return fmt.Errorf("%s is longer than %d KiB", path, maxSecretFile>>10)
	}
	return nil
}

// plainly is what went wrong with a file, with its name once.
func plainly(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

// secrets are what the files with secrets hold.
type secrets struct {
	postgresURL, redisPassword, sentinelPassword string
	keyset                                       []byte
	pin                                          string
	federatedSecret, smtpPassword                string
}

// readSecrets reads every file with a secret that c names.
func readSecrets(c Config, no *refusals) secrets {
	read := func(key, path string) []byte {
		if path == "" {
			return nil
		}
		b, err := readSecret(path)
		if err != nil {
			no.add(key, err.Error(), "it must be there, not empty, and for the server's own user (chmod 0400)")
		}
		return b
	}
	line := func(key, path string) string {
		text := strings.TrimRight(string(read(key, path)), "\r\n")
		if strings.ContainsAny(text, "\r\n") {
			no.add(key, path+" has more than one line", "write the secret on one line")
		}
		return text
	}
	s := secrets{
		postgresURL:      line("postgres.url_file", c.Postgres.URLFile),
		redisPassword:    line("redis.password_file", c.Redis.PasswordFile),
		sentinelPassword: line("redis.sentinel_password_file", c.Redis.SentinelPasswordFile),
		keyset:           read("keys.keyset_file", c.Keys.KeysetFile),
		pin:              line("keys.pkcs11.pin_file", c.Keys.PKCS11.PINFile),
		federatedSecret:  line("federated.client_secret_file", c.Federated.ClientSecretFile),
		smtpPassword:     line("smtp.password_file", c.SMTP.PasswordFile),
	}
	if c.Postgres.URLFile == "" {
		s.postgresURL = c.Postgres.URL
	}
	return s
}
