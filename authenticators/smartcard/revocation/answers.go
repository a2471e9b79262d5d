package revocation

import (
	"sync"
	"time"
)

// maxAnswers is how many answers are remembered: some 100 bytes each.
const maxAnswers = 50_000

// answers remembers what signed answers said.
type answers struct {
	mu   sync.Mutex
	kept map[certificate]kept
}

// kept is an answer, and when it was last asked for.
type kept struct {
	answer
	asked time.Time
}

// counts says whether k still counts at now, if nothing newer can be had: that
// a certificate is good, until the next answer was due and an hour at most;
// that it is revoked or that nobody issued it, until something newer says that
// it is good.
func (k kept) counts(now time.Time) bool {
	return k.status != Good || now.Before(k.until) && now.Before(k.heard.Add(keep))
}

// stands says whether k is newer than a. What says that a certificate is good
// must be newer than what said that it is not; no older is not enough.
func (k kept) stands(a answer) bool {
	if k.status != Good {
		return !a.made.After(k.made)
	}
	return k.made.After(a.made)
}

// fresh returns the answer of a source that was asked a short while ago.
func (s *answers) fresh(name certificate, now time.Time) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[name]
	return k.answer, ok && k.status != Unknown && k.counts(now) && now.Before(k.asked.Add(askAgain))
}

// usable returns the answer that stands in for a source that is down.
func (s *answers) usable(name certificate, now time.Time) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[name]
	return k.answer, ok && k.counts(now)
}

// put remembers a, which was got at now, and returns the answer that stands:
// an older one does not take the place of a newer one that still counts, so
// that nobody can bring back the time before a revocation by sending what was
// said then. Unknown does not end that a certificate was revoked.
func (s *answers) put(name certificate, a answer, now time.Time) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.kept[name]
	if ok && a.status == Unknown && before.status == Revoked {
		return a
	}
	if ok && before.counts(now) && before.stands(a) {
		before.heard = a.heard // its source is there, and has nothing newer
		a = before.answer
	}
	if !ok && len(s.kept) >= maxAnswers {
		s.drop()
	}
	if s.kept == nil {
		s.kept = map[certificate]kept{}
	}
	s.kept[name] = kept{a, now}
	return a
}

// drop makes room for one answer. Those that say good go first.
func (s *answers) drop() {
	var first certificate
	for name, k := range s.kept {
		if first = name; k.status == Good {
			break
		}
	}
	delete(s.kept, first)
}
