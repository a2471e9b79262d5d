// Package ops is what operators ask of a server: whether it lives, whether it
// is ready for people, and what it counts. It stands on a listener of its own.
package ops

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lanyard-id/lanyard/idp"
)

// Metrics are what is counted. No label holds what a stranger can choose.
type Metrics struct {
	registry *prometheus.Registry
	steps    *prometheus.CounterVec
	requests *prometheus.HistogramVec
	signIns  *prometheus.CounterVec
	tokens   *prometheus.CounterVec
	refused  *prometheus.CounterVec
	audit    prometheus.Counter
	stores   stores
	mails    mails
	logouts  logouts
}

// NewMetrics returns metrics that have counted nothing.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lanyard_login_step_total",
			Help: "What had to happen next in a login each time it was looked at, and whether it could.",
		}, []string{"step", "result"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lanyard_http_request_seconds",
			Help:    "How long requests took, by route pattern.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"route", "method", "status"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lanyard_sign_in_total",
			Help: "Proofs that people gave, by the way to sign in, and what came of them.",
		}, []string{"method", "result"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lanyard_token_total",
			Help: "Requests for tokens by clients that had proved themselves, by grant, and what came of them.",
		}, []string{"grant", "result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lanyard_refused_total",
			Help: "What was refused, by the code that people read or clients are told.",
		}, []string{"code"}),
		audit: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lanyard_audit_failures_total",
			Help: "Events that could not be recorded. What they tell of was refused. More than none wants somebody to look.",
		}),
		stores:  newStores(),
		mails:   newMails(),
		logouts: newLogouts(),
	}
	m.registry.MustRegister(m.steps, m.requests, m.signIns, m.tokens, m.refused, m.audit, m.stores.took, m.stores.errors, m.stores.open, m.stores.offset, m.mails.ended, m.mails.waiting, m.logouts.tries, m.logouts.took, m.logouts.waiting,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

var stepNames = map[idp.Step]string{idp.Authenticate: "authenticate", idp.ReadNotice: "read_notice", idp.ChooseRole: "choose_role", idp.Return: "return"}

// Step counts a decision of idp.Next.
func (m *Metrics) Step(step idp.Step, err error) {
	m.steps.WithLabelValues(stepNames[step], result(err)).Inc()
}

// SignIn counts a proof that came by way: it made a session, or err says why
// not.
func (m *Metrics) SignIn(way string, err error) { m.signIns.WithLabelValues(way, result(err)).Inc() }

// Token counts a request for tokens by grant.
func (m *Metrics) Token(grant string, err error) { m.tokens.WithLabelValues(grant, result(err)).Inc() }

// Refused counts a refusal. code is of the catalogue or a registered error: one
// of ours, never a word of who was refused.
func (m *Metrics) Refused(code string) { m.refused.WithLabelValues(code).Inc() }

// result tells what we decided from what we could not do.
func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, idp.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return "unavailable"
	}
	return "refused"
}

// Request counts a request. A method that HTTP does not know counts as other.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// Handler answers /healthz, which asks nobody, /readyz, which asks what the
// server needs, and /metrics.
func (m *Metrics) Handler(ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if ready(ctx) != nil {
			answer(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the asker has gone: nobody to tell
}
