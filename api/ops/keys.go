package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metadata shows until when what is known of keys is in time. It is called
// while a server is put together.
func (m *Metrics) Metadata(next func() time.Time, stale func() bool) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "lanyard_webauthn_metadata_next_update_timestamp_seconds",
			Help: "When the next edition of the metadata of keys is due. Fewer than seven days ahead wants somebody to look.",
		}, func() float64 { return float64(next().Unix()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "lanyard_webauthn_metadata_stale",
			Help: "1 when it is overdue: models that were revoked since are not known.",
		}, func() float64 {
			if stale() {
				return 1
			}
			return 0
		}),
	)
}
