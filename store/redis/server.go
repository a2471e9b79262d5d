package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Server is what a Redis says of itself; of a Cluster, one of its primaries.
type Server struct {
	Address     string // of a node of a Cluster; empty otherwise
	Version     string
	Policy      string // maxmemory-policy
	Cluster     bool   // it is part of a Cluster
	SlotsServed int    // of 16384, in a Cluster
	AppendOnly  bool   // it writes down each change
	Replicas    int    // that follow it now
	Role        string
	Ahead       time.Duration // of its clock before ours

	// WaitsForReplicas says that it takes no writes while it is cut off from
	// its replicas.
	WaitsForReplicas bool
}

// ErrNoCluster is of a Redis that was asked as if it were part of a Cluster.
var ErrNoCluster = errors.New("this Redis is no Cluster")

// ErrEmptyCluster is of a Cluster in which no primary has a slot yet.
var ErrEmptyCluster = errors.New("this Redis Cluster serves no slot")

// Slots is how many slots a whole Cluster serves.
const Slots = 16384

// Major is the first number of s.Version.
func (s Server) Major() int {
	first, _, _ := strings.Cut(s.Version, ".")
	n, _ := strconv.Atoi(first) // 0 is too old
	return n
}

// Inspect asks Redis, and each primary of a Cluster, about itself. now is our
// clock, which theirs are compared with and nothing more. Without an error it
// returns one Server at least: what nobody said, nobody could judge.
func Inspect(ctx context.Context, rdb goredis.UniversalClient, now func() time.Time) ([]Server, error) {
	cluster, ok := rdb.(*goredis.ClusterClient)
	if !ok {
		s, err := inspect(ctx, rdb, now)
		return []Server{s}, err
	}
	var mu sync.Mutex
	var all []Server
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error {
		s, err := inspect(ctx, node, now)
		s.Address = node.Options().Addr
		mu.Lock()
		defer mu.Unlock()
		all = append(all, s)
		return err
	})
	if err != nil && strings.Contains(err.Error(), "cluster support disabled") {
		return nil, ErrNoCluster
	}
	if err == nil && len(all) == 0 {
		return nil, ErrEmptyCluster
	}
	return all, err
}

func inspect(ctx context.Context, rdb goredis.Cmdable, now func() time.Time) (Server, error) {
	text, err := rdb.Info(ctx).Result()
	if err != nil {
		return Server{}, fmt.Errorf("ask Redis about itself: %w", err)
	}
	said := fields(text)
	s := Server{Version: said["redis_version"], Policy: said["maxmemory_policy"], Role: said["role"],
		AppendOnly: said["aof_enabled"] == "1", Cluster: said["cluster_enabled"] == "1"}
	_, s.WaitsForReplicas = said["min_slaves_good_slaves"] // is said only where it matters
	s.Replicas, _ = strconv.Atoi(said["connected_slaves"]) // what is not said is none
	if s.Cluster {
		text, err := rdb.ClusterInfo(ctx).Result()
		if err != nil {
			return Server{}, fmt.Errorf("ask Redis about its Cluster: %w", err)
		}
		s.SlotsServed, _ = strconv.Atoi(fields(text)["cluster_slots_ok"])
	}
	asked := now()
	at, err := rdb.Time(ctx).Result()
	if err != nil {
		return Server{}, fmt.Errorf("ask Redis for its clock: %w", err)
	}
	s.Ahead = at.Sub(asked.Add(now().Sub(asked) / 2))
	return s, nil
}

// fields reads lines of "name:value".
func fields(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[name] = value
		}
	}
	return all
}
