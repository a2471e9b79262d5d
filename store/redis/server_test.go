package redis_test

import (
	"errors"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/redis"
)

func TestInspect(t *testing.T) {
	t.Run("own rule: a Cluster without a primary is an error, not a list of none", func(t *testing.T) {
		r, err := servers.StartRedis(t.Context(), "--save", "", "--cluster-enabled", "yes")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Stop() })
		o := &goredis.UniversalOptions{Addrs: []string{r.Address()}, IsClusterMode: true}
		redis.Harden(o)
		rdb := goredis.NewUniversalClient(o)
		t.Cleanup(func() { _ = rdb.Close() })
		if all, err := redis.Inspect(t.Context(), rdb, time.Now); !errors.Is(err, redis.ErrEmptyCluster) || len(all) != 0 {
			t.Errorf("Inspect = %+v, %v; want ErrEmptyCluster", all, err)
		}
	})
}
