package postgres

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// Export writes the events from one time until before another as lines of
// JSON, in the order in which they happened. A time that is zero is no bound.
//
// A line is the event as it was hashed, which holds its chain and its number
// there, with its hash as one member more at the end. What is not JSON, because
// somebody changed it, is a line that holds it as text in a member "damaged".
func (s *Store) Export(ctx context.Context, w io.Writer, from, to time.Time) error {
	out := bufio.NewWriter(w)
	last := row{at: from, seq: math.MinInt64}
	if to.IsZero() {
		to = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	for {
		page, err := s.page(ctx, `SELECT server, seq, at, event, hash FROM audit_events
			WHERE at >= $1 AND (at, server, seq) > ($1, $2, $3) AND at < $4 ORDER BY at, server, seq LIMIT $5`,
			last.at, last.server, last.seq, to, pageSize)
		if err != nil {
			return outage(fmt.Errorf("read the journal: %w", err))
		}
		for _, r := range page {
			_, _ = out.Write(r.line()) // an error is kept until Flush
			last = r
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// line returns r as a line of JSON.
func (r row) line() []byte {
	event, hash := []byte(r.event), base64.RawURLEncoding.EncodeToString(r.hash)
	if len(event) > 2 && event[0] == '{' && event[len(event)-1] == '}' && bytes.IndexByte(event, '\n') < 0 && json.Valid(event) {
		return append(event[:len(event)-1], `,"hash":"`+hash+"\"}\n"...)
	}
	line, _ := json.Marshal(struct { // text and numbers can always be written
		Server  string `json:"server"`
		Seq     int64  `json:"seq"`
		Damaged string `json:"damaged"`
		Hash    string `json:"hash"`
	}{r.server, r.seq, r.event, hash})
	return append(line, '\n')
}
