package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// registries are databases beside the one that is served, each of which gets
// the whole directory by one command: a registration that is acknowledged or
// not.
type registries struct {
	world  *world
	server *server // never started: its configuration leads to the newest one
	filled string  // the newest, once that is acknowledged
}

// blank is the database that has the schema and nothing else.
const blank = "blank"

func (w *world) newRegistries(ctx context.Context) (*registries, error) {
	r := &registries{world: w, server: &server{name: "no server", program: w.plan.program, config: w.file("registries.yaml"), log: w.file("registries.log"),
		address: "127.0.0.1:1", ops: "127.0.0.1:2"}}
	if _, err := w.postgres.Create(ctx, blank, ""); err != nil {
		return nil, err
	}
	if err := r.lead(blank); err != nil {
		return nil, err
	}
	_, err := r.server.command(ctx, "migrate", "up")
	return r, err
}

// lead points the configuration at a database.
func (r *registries) lead(database string) error {
	w := r.world
	sql, err := url.Parse(w.postgres.URL(database))
	if err != nil {
		return err
	}
	policy := w.plan.policy
	defer func() { w.plan.policy = policy }()
	w.plan.policy = maps.Clone(policy)
	if w.plan.policy == nil {
		w.plan.policy = map[string]string{}
	}
	w.plan.policy["postgres.url"] = sql.String()
	return w.configure(r.server, "")
}

// register fills a new registry, and returns when that is acknowledged.
func (r *registries) register(ctx context.Context, i int) error {
	name := fmt.Sprintf("registry%d", i)
	if _, err := r.world.postgres.Create(ctx, name, blank); err != nil {
		return err
	}
	if err := r.lead(name); err != nil {
		return err
	}
	_, err := r.server.command(ctx, r.world.preparations()[2]...)
	if err == nil {
		r.filled = name
	}
	return err
}

// audit looks for everybody in the registry that was filled last, and drops
// it: PostgreSQL looks at all its files after each death.
func (r *registries) audit(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, r.world.postgres.URL(r.filled))
	if err != nil {
		return err
	}
	there, err := counts(ctx, conn, "SELECT uid, 1 FROM people")
	_ = conn.Close(ctx)
	if err != nil {
		return err
	}
	var broken findings
	for _, p := range r.world.crowd.document.People {
		if there[p.UID] == 0 {
			broken.add(errors.New(p.UID + " was registered, that was acknowledged, and they are not there"))
		}
	}
	if err := broken.err(); err != nil {
		return err
	}
	conn, err = r.world.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{r.filled}.Sanitize())
	return err
}
