package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

func wantEqual(t *testing.T, got, want any, err error) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v, %v; want %+v", got, err, want)
	}
}

// filled returns a value of type V with something in every place.
func filled[V any]() V {
	var v V
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	}
}

// shared returns where a and b are one thing in memory.
func shared(a, b reflect.Value, at string) []string {
	var found []string
	switch a.Kind() {
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			break // nobody can change one
		}
		for i := range a.NumField() {
			found = append(found, shared(a.Field(i), b.Field(i), at+"."+a.Type().Field(i).Name)...)
		}
	case reflect.Slice:
		if a.Pointer() == b.Pointer() {
			found = append(found, at)
		}
		for i := range a.Len() {
			found = append(found, shared(a.Index(i), b.Index(i), at+"[]")...)
		}
	case reflect.Map, reflect.Pointer:
		if a.Pointer() == b.Pointer() {
			found = append(found, at)
		}
	}
	return found
}

func TestClone(t *testing.T) {
	t.Run("own rule: a copy of a person is equal and shares nothing", func(t *testing.T) {
		p := filled[idp.Person]()
		q := clonePerson(p)
		wantEqual(t, q, p, nil)
		if s := shared(reflect.ValueOf(p), reflect.ValueOf(q), "Person"); s != nil {
			t.Errorf("shared: %v", s)
		}
	})
	t.Run("own rule: a copy of a client is equal and shares nothing", func(t *testing.T) {
		c := filled[idp.Client]()
		d := cloneClient(c)
		wantEqual(t, d, c, nil)
		if s := shared(reflect.ValueOf(c), reflect.ValueOf(d), "Client"); s != nil {
			t.Errorf("shared: %v", s)
		}
	})
}

// source answers questions one by one, as the test lets it.
type source struct {
	asked  chan string
	answer chan string
	count  atomic.Int32
}

func newSource() *source { return &source{asked: make(chan string, 100), answer: make(chan string)} }

func (s *source) load(ctx context.Context, name string) (string, error) {
	s.count.Add(1)
	s.asked <- name
	select {
	case a := <-s.answer:
		if a == "" {
			return "", idp.ErrNotFound
		}
		return a, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// say answers the question that was asked, and fails the test if nobody asks.
func (s *source) say(t *testing.T, answer string) {
	t.Helper()
	select {
	case s.answer <- answer:
	case <-time.After(soon):
		t.Fatal("nobody asks")
	}
}

// wait returns when a question was asked, and fails the test if none is.
func (s *source) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.asked:
	case <-time.After(soon):
		t.Fatal("nobody asks")
	}
}

func TestCache(t *testing.T) {
	yes := func() bool { return true }
	type got struct {
		v   string
		err error
	}
	ask := func(c *cache[string], name string) chan got {
		answered := make(chan got, 1)
		go func() { v, err := c.get(context.Background(), name); answered <- got{v, err} }()
		return answered
	}
	t.Run("own rule: what is known is not asked again", func(t *testing.T) {
		src := newSource()
		c := newCache(yes, 10, src.load)
		first := ask(c, "a")
		src.say(t, "1")
		wantEqual(t, <-first, got{v: "1"}, nil)
		wantEqual(t, <-ask(c, "a"), got{v: "1"}, nil)
	})
	t.Run("own rule: many who miss at once ask once", func(t *testing.T) {
		src := newSource()
		c := newCache(yes, 10, src.load)
		first := ask(c, "a")
		src.wait(t)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { wantEqual(t, <-ask(c, "a"), got{v: "1"}, nil) })
		}
		src.say(t, "1")
		wg.Wait()
		wantEqual(t, <-first, got{v: "1"}, nil)
		if n := src.count.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
	t.Run("own rule: an answer from before a change is not kept, nor given to who asks after it", func(t *testing.T) {
		for _, dropped := range []string{"a", ""} {
			src := newSource()
			c := newCache(yes, 10, src.load)
			before := ask(c, "a")
			src.wait(t)
			c.drop(dropped)
			src.say(t, "old")
			wantEqual(t, <-before, got{v: "old"}, nil) // it asked before
			after := ask(c, "a")
			src.say(t, "new")
			wantEqual(t, <-after, got{v: "new"}, nil)

			c.drop("a")
			ask(c, "a")
			src.wait(t)
			src.wait(t)
			c.drop(dropped)
			ask(c, "a")
			src.wait(t) // a question of its own
		}
	})
	t.Run("own rule: another name's change does not matter", func(t *testing.T) {
		src := newSource()
		c := newCache(yes, 10, src.load)
		first := ask(c, "a")
		src.wait(t)
		c.drop("b")
		src.say(t, "1")
		<-first
		wantEqual(t, <-ask(c, "a"), got{v: "1"}, nil)
	})
	t.Run("own rule: what is not there is not asked again before it may be there", func(t *testing.T) {
		for _, dropped := range []string{"a", ""} {
			src := newSource()
			c := newCache(yes, 10, src.load)
			first := ask(c, "a")
			src.say(t, "")
			wantEqual(t, <-first, got{err: idp.ErrNotFound}, nil)
			wantEqual(t, <-ask(c, "a"), got{err: idp.ErrNotFound}, nil)
			c.drop(dropped)
			next := ask(c, "a")
			src.say(t, "1")
			wantEqual(t, <-next, got{v: "1"}, nil)
		}
	})
	t.Run("own rule: an outage is not held", func(t *testing.T) {
		outages := 0
		c := newCache(yes, 10, func(context.Context, string) (string, error) { outages++; return "", idp.ErrUnavailable })
		for range 2 {
			wantEqual(t, <-ask(c, "a"), got{err: idp.ErrUnavailable}, nil)
		}
		if outages != 2 {
			t.Errorf("asked %d times", outages)
		}
	})
	t.Run("own rule: no more unknown names are held than it may", func(t *testing.T) {
		c := newCache(yes, 10, func(context.Context, string) (string, error) { return "", idp.ErrNotFound })
		for i := range mostUnknown + 50 {
			<-ask(c, fmt.Sprint(i))
		}
		if len(c.unknown) != mostUnknown || len(c.held) != 0 {
			t.Errorf("%d are held", len(c.unknown))
		}
	})
	t.Run("own rule: without a fresh feed everybody asks, and nothing that was held is told", func(t *testing.T) {
		src, fresh := newSource(), atomic.Bool{}
		c := newCache(fresh.Load, 10, src.load)
		for _, v := range []string{"1", "2"} {
			next := ask(c, "a")
			src.say(t, v)
			wantEqual(t, <-next, got{v: v}, nil)
		}
		fresh.Store(true)
		next := ask(c, "a")
		src.say(t, "3")
		wantEqual(t, <-next, got{v: "3"}, nil)
		fresh.Store(false)
		next = ask(c, "a")
		src.say(t, "4")
		wantEqual(t, <-next, got{v: "4"}, nil)
	})
	t.Run("own rule: no more are held than it may", func(t *testing.T) {
		src := newSource()
		c := newCache(yes, 10, src.load)
		for i := range 50 {
			next := ask(c, fmt.Sprint(i))
			src.say(t, "v")
			<-next
		}
		if len(c.held) != 10 || len(c.flights) != 0 {
			t.Errorf("%d are held, %d on their way", len(c.held), len(c.flights))
		}
	})
	t.Run("own rule: who stops waiting leaves the answer to the others", func(t *testing.T) {
		src := newSource()
		c := newCache(yes, 10, src.load)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { _, err := c.get(ctx, "a"); left <- err }()
		src.wait(t)
		other := ask(c, "a")
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("who left was told %v", err)
		}
		src.say(t, "1")
		wantEqual(t, <-other, got{v: "1"}, nil)
	})
}
