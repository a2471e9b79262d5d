package ops

import "github.com/prometheus/client_golang/prometheus"

// mails is what is measured of mails.
type mails struct {
	ended   *prometheus.CounterVec
	waiting prometheus.Gauge
}

func newMails() mails {
	return mails{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lanyard_mail_total",
			Help: "Mails to people by what came of them: sent, retried, or why one was given up.",
		}, []string{"result"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lanyard_mail_waiting",
			Help: "Mails of all servers that wait. More and more of them want somebody to look.",
		}),
	}
}

// Mail counts what came of a mail.
func (m *Metrics) Mail(result string) { m.mails.ended.WithLabelValues(result).Inc() }

// MailsWaiting shows how many mails wait.
func (m *Metrics) MailsWaiting(n int) { m.mails.waiting.Set(float64(n)) }
