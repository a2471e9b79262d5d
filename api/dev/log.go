package dev

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxRequests is how many requests a Log keeps.
const maxRequests = 200

// Log keeps what the service logged of its last requests, so that the
// developer of an application sees each one rule by rule. It is a slog.Handler
// beside the real one, and hears what that one leaves out.
type Log struct{ *kept }

// kept is what all copies of a Log share.
type kept struct {
	mu       sync.Mutex
	requests []*Request // oldest first
	byID     map[string]*Request
}

// NewLog returns a log that has heard nothing.
func NewLog() Log { return Log{&kept{byID: map[string]*Request{}}} }

// Request is one request and all that was said of it.
type Request struct {
	ID     string
	At     time.Time
	Method string
	Route  string
	Status string
	Client string
	Rules  []Rule
	Lines  []string
}

// Rule is one rule that a request was held to.
type Rule struct {
	Name string
	Kept bool
	Why  string // of one that was not kept
}

// Enabled implements slog.Handler: rules that were kept are told at debug
// level.
func (Log) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler. Nothing in this service makes loggers
// with attributes of their own, so there is nothing to keep.
func (l Log) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler; see WithAttrs.
func (l Log) WithGroup(string) slog.Handler { return l }

// Handle implements slog.Handler.
func (l Log) Handle(_ context.Context, r slog.Record) error {
	said := map[string]string{}
	var line []string
	r.Attrs(func(a slog.Attr) bool {
		said[a.Key] = a.Value.String()
		if a.Key != "request_id" {
			line = append(line, a.Key+"="+a.Value.String())
		}
		return true
	})
	if said["request_id"] == "" {
		return nil
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.request(said["request_id"], r.Time)
	if said["client"] != "" {
		q.Client = said["client"]
	}
	switch r.Message {
	case "rule":
		q.Rules = append(q.Rules, Rule{Name: said["rule"], Kept: said["kept"] == "true", Why: said["why"]})
	case "request":
		q.Method, q.Route, q.Status = said["method"], said["route"], said["status"]
	default:
		q.Lines = append(q.Lines, r.Message+" "+strings.Join(line, " "))
	}
	return nil
}

// request returns the request called id, and makes it if it is new.
func (k *kept) request(id string, at time.Time) *Request {
	if q, ok := k.byID[id]; ok {
		return q
	}
	q := &Request{ID: id, At: at}
	k.byID[id] = q
	k.requests = append(k.requests, q)
	if len(k.requests) > maxRequests {
		delete(k.byID, k.requests[0].ID)
		k.requests = k.requests[1:]
	}
	return q
}

// Requests returns the requests whose id begins with reference, latest first;
// those of pages' own files are left out.
func (k *kept) Requests(reference string) []Request {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Request
	for _, q := range slices.Backward(k.requests) {
		if strings.HasPrefix(q.ID, strings.ToUpper(reference)) && !strings.HasPrefix(q.Route, "/static/") && !strings.HasPrefix(q.Route, "/dev") {
			one := *q
			one.Rules, one.Lines = slices.Clone(q.Rules), slices.Clone(q.Lines)
			list = append(list, one)
		}
	}
	return list
}
