package main

import (
	"strings"
)

// everyNotice tells who works at the hospitals of the demo directory.
func everyNotice(p *steward, s running) {
	p.t.Helper()
	notice := m{"organisation": "X26", "role": "R5090", "series": 10, "subject": "Card readers", "text": "They are replaced.\n\nUse the others."}
	if got := p.call("POST", "/notices?check=true", notice, 200); got.body["told"] != 1.0 {
		p.t.Errorf("it would tell %s", got.text)
	}
	reads := newPerson(p.t)
	reads.open(s.issuer + "/dev/mail")
	if strings.Contains(reads.text(), "Card readers") {
		p.t.Errorf("a check has told somebody:\n%s", reads.text())
	}
	if got := p.call("POST", "/notices", notice, 200); got.body["told"] != 1.0 {
		p.t.Errorf("it tells %s", got.text)
	}
	reads.open(s.issuer + "/dev/mail")
	if text := reads.text(); strings.Count(text, "Card readers") != 1 || !strings.Contains(text, "daniel.goldberg@northern.example") || !strings.Contains(text, "Use the others.") {
		p.t.Errorf("the mails are\n%s", text)
	}
	p.call("POST", "/notices", m{"organisation": "X26", "subject": "a\nb", "text": "x"}, 422)
	p.call("POST", "/notices", m{"organisation": "ZZ9", "subject": "a", "text": "x"}, 404)
}
