package ops

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lanyard-id/lanyard/idp"
)

// stores is what is measured of the stores that a server stands on.
type stores struct {
	took   *prometheus.HistogramVec
	errors *prometheus.CounterVec
	open   *openCircuits
	offset *prometheus.GaugeVec
}

func newStores() stores {
	return stores{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lanyard_store_seconds",
			Help:    "How long a store took to answer, by what was asked of it.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .05, .25, 1},
		}, []string{"store", "operation"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lanyard_store_errors_total",
			Help: "Questions that a store did not answer, those of an open circuit among them.",
		}, []string{"store"}),
		open: &openCircuits{what: prometheus.NewDesc("lanyard_circuit_open",
			"1 while a store is not asked because it did not answer.", []string{"store"}, nil), of: map[string]func() bool{}},
		offset: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lanyard_clock_offset_seconds",
			Help: "How far a store's clock is ahead of this server's. More than ten either way wants somebody to look.",
		}, []string{"store"}),
	}
}

// openCircuits asks at the moment of looking.
type openCircuits struct {
	what *prometheus.Desc
	of   map[string]func() bool // set before anybody looks
}

// Describe implements prometheus.Collector.
func (o *openCircuits) Describe(to chan<- *prometheus.Desc) { to <- o.what }

// Collect implements prometheus.Collector.
func (o *openCircuits) Collect(to chan<- prometheus.Metric) {
	for store, open := range o.of {
		value := 0.0
		if open() {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(o.what, prometheus.GaugeValue, value, store)
	}
}

// StoreCall counts what was asked of a store: err says why there was no answer.
func (m *Metrics) StoreCall(store, operation string, took time.Duration, err error) {
	m.stores.took.WithLabelValues(store, operation).Observe(took.Seconds())
	if err != nil {
		m.stores.errors.WithLabelValues(store).Inc()
	}
}

// Circuit shows whether a store's circuit is open. It is called while a server
// is put together.
func (m *Metrics) Circuit(store string, open func() bool) { m.stores.open.of[store] = open }

// ClockOffset shows how far a store's clock is ahead of ours.
func (m *Metrics) ClockOffset(store string, ahead time.Duration) {
	m.stores.offset.WithLabelValues(store).Set(ahead.Seconds())
}

// Audited is journal, with what it could not record counted.
func (m *Metrics) Audited(journal idp.Journal) idp.Journal { return audited{journal, m.audit} }

type audited struct {
	idp.Journal
	failures prometheus.Counter
}

// Record implements idp.Journal.
func (a audited) Record(ctx context.Context, e idp.Event, fences ...idp.Fence) error {
	err := a.Journal.Record(ctx, e, fences...)
	if err != nil && !errors.Is(err, idp.ErrUsed) {
		a.failures.Inc()
	}
	return err
}
