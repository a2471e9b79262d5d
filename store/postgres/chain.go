package postgres

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// link is one place in a chain: how many events there are up to it, and the
// hash that stands for them all. The link 0 is the beginning.
type link struct {
	seq  int64
	hash [sha256.Size]byte
}

// newChain returns the name of a chain that no other server has. A server
// begins one each time that it starts, so that two lives of it never have to
// agree on where the chain ends.
func newChain() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// beginning is the link 0 of a chain. It depends on the chain's name, so that a
// chain cannot be passed off as another.
func beginning(server string) link { return link{hash: sha256.Sum256([]byte(server))} }

// next returns the link that event makes after l.
func (l link) next(event string) link {
	h := sha256.New()
	h.Write(l.hash[:])
	h.Write([]byte(event))
	n := link{seq: l.seq + 1}
	h.Sum(n.hash[:0])
	return n
}

// chained is an event in its place.
type chained struct {
	Server string `json:"server"`
	Seq    int64  `json:"seq"`
	idp.Event
}

// loss is the event that begins a chain in place of one that was cut off. It
// names the last event of that chain which was acknowledged.
type loss struct {
	idp.Event
	Lost head `json:"lost"`
}

// place writes the event that body is the JSON of as the event seq of a chain.
// The place is part of what is hashed, so that no event can stand elsewhere.
func place(server string, seq int64, body []byte) string {
	var b bytes.Buffer
	b.Grow(len(body) + len(server) + 40)
	b.WriteString(`{"server":"`)
	b.WriteString(server) // base64url: nothing in it needs quoting
	b.WriteString(`","seq":`)
	b.WriteString(strconv.FormatInt(seq, 10))
	b.WriteByte(',')
	b.Write(body[1:]) // an event has a time, so more follows its bracket
	return b.String()
}

// row is an event as it is kept.
type row struct {
	server string
	seq    int64
	at     time.Time
	event  string
	hash   []byte
}

// wrong says what is wrong with r where the chain before it ends at l, or "".
func (r row) wrong(l link) string {
	if r.seq != l.seq+1 {
		if l.seq == 0 {
			return fmt.Sprintf("the beginning is missing: the first event is %d", r.seq)
		}
		return fmt.Sprintf("events are missing between %d and %d", l.seq, r.seq)
	}
	var e chained
	if err := json.Unmarshal([]byte(r.event), &e); err != nil {
		return "the event cannot be read"
	}
	if e.Server != r.server || e.Seq != r.seq {
		return fmt.Sprintf("the event was moved: it is event %d of chain %q", e.Seq, e.Server)
	}
	if !e.At.Truncate(time.Microsecond).Equal(r.at) { // PostgreSQL keeps no more
		return "its time was changed"
	}
	if want := l.next(r.event); !bytes.Equal(r.hash, want.hash[:]) {
		return "the event was changed, or one before it"
	}
	return ""
}

// link returns where r says that the chain is. What follows is compared with
// that, so that one change is found once and not at every event after it.
func (r row) link() link {
	l := link{seq: r.seq}
	copy(l.hash[:], r.hash)
	return l
}
