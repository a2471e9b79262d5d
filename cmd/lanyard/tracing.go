package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/exaring/otelpgx"
	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/extra/redisotel/v9"
	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// tracing tells a collector how each request went, and what it asked of the
// stores. nil traces nothing.
type tracing struct{ spans *sdktrace.TracerProvider }

// startTracing sends traces to endpoint, an OTLP/HTTP address; with "" there
// are none. stop sends what is left.
func startTracing(ctx context.Context, endpoint string, log *slog.Logger) (t *tracing, stop func(context.Context) error, err error) {
	if endpoint == "" {
		return nil, func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, nil, fmt.Errorf("tracing: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {
		log.Warn("traces could not be sent") //nolint:sloglint // nobody's request. The error's text may hold the endpoint, and that a password
	}))
	spans := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "lanyard"))))
	return &tracing{spans}, spans.Shutdown, nil
}

// routes traces each request by its route pattern. What a browser or client
// sends is left out, their addresses too, and a trace that they say this
// belongs to: a URL may hold a code, and the rest is a stranger's word. That is
// why this is not otelhttp, which records them.
func (t *tracing) routes() func(http.Handler) http.Handler {
	if t == nil {
		return nil
	}
	tracer := t.spans.Tracer("github.com/lanyard-id/lanyard")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := tracer.Start(r.Context(), "request", trace.WithSpanKind(trace.SpanKindServer))
			defer span.End()
			answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
			next.ServeHTTP(answer, r.WithContext(ctx))

			route := chi.RouteContext(ctx).RoutePattern()
			method := r.Method
			switch method {
			case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
			default:
				method = "_OTHER"
			}
			span.SetName(method + " " + route)
			span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
				attribute.Int("http.response.status_code", answer.status), attribute.String("lanyard.request_id", w.Header().Get("X-Request-Id")))
			if answer.status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
		})
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// redis traces the commands of rdb by their names: their arguments hold what
// people's sessions stand on.
func (t *tracing) redis(rdb goredis.UniversalClient) error {
	if t == nil {
		return nil
	}
	return redisotel.InstrumentTracing(rdb, redisotel.WithTracerProvider(t.spans), redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false))
}

// sql traces queries by their first word, without what fills them in.
func (t *tracing) sql() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.spans), otelpgx.WithDisableConnectionDetailsInAttributes())
}
