package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/postgres"
)

func TestAudit(t *testing.T) {
	p, err := servers.StartPostgres(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	url, err := p.Create(t.Context(), "registry", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), url, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	open := func(ctx context.Context) (*postgres.Store, func(), error) {
		s, err := postgres.Open(ctx, postgres.Config{URL: url, Now: time.Now})
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	audit := func(args ...string) (string, error) {
		cmd := auditCommand(open, func(context.Context, *postgres.Store) (postgres.PublicKeys, error) {
			return func(string) (idp.SigningKey, bool) { return idp.SigningKey{}, false }, nil
		})
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs(args)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	ends := func(err error) int {
		if e, ok := errors.AsType[exit](err); ok {
			return e.status
		}
		return 0
	}
	s, done, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for day := range 3 {
		at := time.Date(2030, 7, 1+day, 23, 30, 0, 0, time.UTC) // half past midnight in London
		if err := s.Record(t.Context(), idp.Event{At: at, Kind: idp.SignedIn, Request: at.Format(time.DateOnly)}); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("own rule: a whole journal is said to be so", func(t *testing.T) {
		out, err := audit("verify")
		if err != nil || !strings.Contains(out, "chains 1, events 3") {
			t.Errorf("it said %q and ended with %v", out, err)
		}
	})
	t.Run("own rule: an export is of the days that were asked for, in London", func(t *testing.T) {
		out, err := audit("export", "--from", "2030-07-03", "--to", "2030-07-03T23:30:00Z")
		if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, `"request":"2030-07-02"`) {
			t.Errorf("it wrote %q and ended with %v", out, err)
		}
		if _, err := audit("export", "--from", "yesterday"); ends(err) != exitUsage {
			t.Errorf("it ended with %v, want %d", err, exitUsage)
		}
	})
	t.Run("own rule: a journal that was changed ends it with 1, and the place is named", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if _, err := conn.Exec(t.Context(), `ALTER TABLE audit_events DISABLE TRIGGER USER; DELETE FROM audit_events WHERE seq = 2`); err != nil {
			t.Fatal(err)
		}
		out, err := audit("verify")
		if ends(err) != exitFailed || !strings.Contains(out, "event 3: events are missing") {
			t.Errorf("it said %q and ended with %v", out, err)
		}
		out, err = audit("verify", "--json")
		var r postgres.Report
		if json.Unmarshal([]byte(out), &r) != nil || ends(err) != exitFailed || len(r.Findings) != 1 || r.Findings[0].Seq != 3 {
			t.Errorf("it said %q and ended with %v", out, err)
		}
	})
}
