package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lanyard-id/lanyard/idp"
)

// logouts is what is measured of what applications are told.
type logouts struct {
	tries   *prometheus.CounterVec
	took    prometheus.Histogram
	waiting prometheus.Gauge
}

func newLogouts() logouts {
	return logouts{
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lanyard_backchannel_total",
			Help: "Applications that were to be told that a session ended, by what came of it: told, again, or why nobody tries any more.",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "lanyard_backchannel_seconds",
			Help:    "How long it took until an application was told, from when its logout was taken up first.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900},
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lanyard_backchannel_waiting",
			Help: "Logouts of all servers that wait. More and more of them want somebody to look at the applications.",
		}),
	}
}

// Logout counts what came of a try to tell an application.
func (m *Metrics) Logout(result string, after time.Duration) {
	m.logouts.tries.WithLabelValues(result).Inc()
	if result == idp.LogoutTold {
		m.logouts.took.Observe(after.Seconds())
	}
}

// LogoutsWaiting shows how many wait.
func (m *Metrics) LogoutsWaiting(n int) { m.logouts.waiting.Set(float64(n)) }
