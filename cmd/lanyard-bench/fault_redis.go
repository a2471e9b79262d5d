package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
)

// recovery is how soon all is well after a store came back.
const recovery = 5 * time.Second

// stock is how Redis keeps snapshots when nobody says otherwise.
var stock = []string{"--save", "3600 1 300 100 60 10000", "--appendonly", "no"}

// killRedis is F4.
func killRedis(ctx context.Context, t *trial) error {
	for _, keeps := range []struct {
		how  string
		args []string
	}{
		{"snapshots, the last before the end", stock},
		{"a log, to disk every second", []string{"--save", "", "--appendonly", "yes", "--appendfsync", "everysec"}},
		{"a log, to disk always", []string{"--save", "", "--appendonly", "yes", "--appendfsync", "always"}},
	} {
		rounds, back := t.size(34, 1), 0
		err := t.in(ctx, plan{redis: keeps.args}, func(w *world) error {
			rdb := admin(w.redis)
			defer func() { _ = rdb.Close() }()
			for i := range rounds {
				n, err := w.forget(ctx, rdb, i, t.size(10, 5), func() error { return w.restoreRedis(ctx) })
				if err != nil {
					return fmt.Errorf("round %d with %s: %w", i+1, keeps.how, err)
				}
				back += n
			}
			return w.verifyJournal(ctx)
		})
		if err != nil {
			return err
		}
		if keeps.args[1] != "" && back == 0 {
			return errors.New("nothing that had ended came back with Redis: the trial shows nothing")
		}
		t.report("%d kills of Redis with %s: it brought back %d sessions that had ended, and none was taken", rounds, keeps.how, back)
	}
	return nil
}

// forgetting is what people did before and after the moment that Redis is
// taken back to.
type forgetting struct {
	flows []*flow  // in a live session, with a code in hand
	codes []result // not used yet
	spent []result // used once
}

// forget has people do what must last, while fault takes Redis back to a
// moment before or loses it, and tries afterwards to break each promise. It
// returns how many ended sessions Redis brought back.
func (w *world) forget(ctx context.Context, rdb *goredis.Client, round, people int, fault func() error) (int, error) {
	w.ledger = newLedger() // of this round
	f, err := w.before(ctx, round*people, people)
	if err != nil {
		return 0, err
	}
	if err := w.remember(ctx, rdb); err != nil {
		return 0, err
	}
	if err := w.after(ctx, f); err != nil {
		return 0, err
	}
	if err := fault(); err != nil {
		return 0, err
	}
	back, err := w.broughtBack(ctx)
	if err != nil {
		return 0, err
	}
	if err := w.well(ctx); err != nil {
		return back, err
	}
	return back, w.breakPromises(ctx)
}

// before signs people in: each has a session, a code that was not used and one
// that was.
func (w *world) before(ctx context.Context, from, people int) (*forgetting, error) {
	all := &forgetting{}
	c := w.client("ES256", nil)
	for n := range people {
		f := w.flow(from+n, c)
		spent, err := f.run(ctx)
		if err != nil {
			return nil, err
		}
		r, err := f.code(ctx)
		if err != nil {
			return nil, err
		}
		all.flows, all.codes, all.spent = append(all.flows, f), append(all.codes, r), append(all.spent, spent)
	}
	return all, nil
}

// after uses the codes, shows the used ones again, and ends each session by
// signing in anew.
func (w *world) after(ctx context.Context, all *forgetting) error {
	for i, f := range all.flows {
		if _, err := f.redeem(ctx, all.codes[i]); err != nil {
			return err
		}
		spent := all.spent[i]
		a, err := spent.request.redeem(ctx, f.person.site, spent.code, nil)
		if err != nil {
			return err
		}
		if a.status != http.StatusBadRequest {
			return problem("use a code again", a)
		}
		w.ledger.reused(spent.code)
		f.params = url.Values{"prompt": {"login"}}
		if _, err := f.code(ctx); err != nil {
			return err
		}
	}
	return nil
}

// remember makes Redis keep this moment, where it keeps moments at all.
func (w *world) remember(ctx context.Context, rdb *goredis.Client) error {
	if save, err := rdb.ConfigGet(ctx, "save").Result(); err != nil || save["save"] == "" {
		return err
	}
	if err := rdb.BgSave(ctx).Err(); err != nil {
		return fmt.Errorf("save a snapshot: %w", err)
	}
	return until(ctx, func() error {
		info, err := rdb.Info(ctx, "persistence").Result()
		if err != nil {
			return err
		}
		if !strings.Contains(info, "rdb_bgsave_in_progress:0") || !strings.Contains(info, "rdb_last_bgsave_status:ok") {
			return errors.New("the snapshot is not there yet")
		}
		return nil
	})
}

// restoreRedis kills Redis and starts it on what it kept.
func (w *world) restoreRedis(ctx context.Context) error {
	if err := w.redis.Kill(); err != nil {
		return err
	}
	return w.redis.Start(ctx)
}

// broughtBack counts the sessions that ended and that Redis has all the same.
func (w *world) broughtBack(ctx context.Context) (int, error) {
	rdb := goredis.NewClient(&goredis.Options{Addr: w.toRedis.to(), MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	_, sessions, _ := w.ledger.facts()
	back := 0
	for _, s := range sessions {
		if !s.ended {
			continue
		}
		n, err := rdb.Exists(ctx, "session:"+idp.Hash(s.secret)).Result()
		if err != nil {
			return back, fmt.Errorf("look into Redis: %w", err)
		}
		back += int(n)
	}
	return back, nil
}

// well waits until people can sign in at every server, no longer than recovery
// allows.
func (w *world) well(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recovery)
	defer cancel()
	c := w.client("ES256", nil)
	for i, s := range w.servers {
		err := until(ctx, func() error {
			f := w.flow(i, c)
			f.person.site = w.siteOf(s)
			_, err := f.run(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s was not well after %s: %w", s.name, recovery, err)
		}
	}
	return nil
}

// failOver is F5.
func failOver(ctx context.Context, t *trial) error {
	rounds, back := t.size(20, 2), 0
	err := t.in(ctx, plan{}, func(w *world) error {
		pair, err := w.newPair(ctx)
		if err != nil {
			return err
		}
		for i := range rounds {
			n, err := w.forgetOver(ctx, pair, i, t.size(10, 5))
			if err != nil {
				return fmt.Errorf("fail-over %d: %w", i+1, err)
			}
			back += n
		}
		return w.verifyJournal(ctx)
	})
	if err != nil {
		return err
	}
	if back == 0 {
		return errors.New("the replica knew of everything: the trial shows nothing")
	}
	t.report("%d fail-overs to a replica that was cut off: it brought back %d sessions that had ended, and none was taken", rounds, back)
	return nil
}

// pair is two Redis: one is asked, the other follows it through a wire that
// can be frozen.
type pair struct {
	nodes [2]*servers.Redis
	wires [2]*wire // to each, for the other
	asked int
}

func (w *world) newPair(ctx context.Context) (*pair, error) {
	other, err := servers.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	w.closeWith(other.Stop)
	p := &pair{nodes: [2]*servers.Redis{w.redis, other}}
	for i, node := range p.nodes {
		if p.wires[i], err = newWire(node.Address()); err != nil {
			return nil, err
		}
		w.closeWith(func() error { p.wires[i].close(); return nil })
	}
	return p, nil
}

// forgetOver is one round of failOver: what happens after the replica was cut
// off is lost with the primary.
func (w *world) forgetOver(ctx context.Context, p *pair, round, people int) (int, error) {
	primary, replica := admin(p.nodes[p.asked]), admin(p.nodes[1-p.asked])
	defer func() { _ = errors.Join(primary.Close(), replica.Close()) }()
	host, port, _ := strings.Cut(p.wires[p.asked].address(), ":")
	if err := replica.ReplicaOf(ctx, host, port).Err(); err != nil {
		return 0, fmt.Errorf("follow: %w", err)
	}
	w.ledger = newLedger()
	f, err := w.before(ctx, round*people, people)
	if err != nil {
		return 0, err
	}
	if err := caughtUp(ctx, primary, replica); err != nil {
		return 0, err
	}
	p.wires[p.asked].freeze()
	if err := w.after(ctx, f); err != nil {
		return 0, err
	}
	if err := w.takeOver(ctx, p, replica); err != nil {
		return 0, err
	}
	back, err := w.broughtBack(ctx)
	if err != nil {
		return 0, err
	}
	if err := w.well(ctx); err != nil {
		return back, err
	}
	return back, w.breakPromises(ctx)
}

// caughtUp waits until the replica has all that the primary has.
func caughtUp(ctx context.Context, primary, replica *goredis.Client) error {
	offset := func(rdb *goredis.Client, name string) (string, error) {
		info, err := rdb.Info(ctx, "replication").Result()
		_, after, _ := strings.Cut(info, name+":")
		line, _, _ := strings.Cut(after, "\r\n")
		return line, err
	}
	return until(ctx, func() error {
		ours, err1 := offset(primary, "master_repl_offset")
		theirs, err2 := offset(replica, "slave_repl_offset")
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if up, err := offset(replica, "master_link_status"); err != nil || up != "up" || ours != theirs {
			return errors.New("the replica is behind")
		}
		return nil
	})
}

// takeOver kills the primary and leads the servers to the replica, which knows
// nothing of what came after it was cut off. The primary starts again, empty.
func (w *world) takeOver(ctx context.Context, p *pair, replica *goredis.Client) error {
	if err := p.nodes[p.asked].Kill(); err != nil {
		return err
	}
	p.wires[p.asked].sever()
	if err := replica.ReplicaOf(ctx, "NO", "ONE").Err(); err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	w.toRedis.point(p.nodes[1-p.asked].Address())
	if err := p.nodes[p.asked].Start(ctx); err != nil {
		return err
	}
	p.wires[p.asked].heal()
	p.asked = 1 - p.asked
	return nil
}

// admin is a connection to Redis past the servers' wire.
func admin(r *servers.Redis) *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: r.Address()})
}
