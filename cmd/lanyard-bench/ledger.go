package main

import (
	"maps"
	"slices"
	"sync"
)

// familyLetters is how many letters of a code or token name its family. The
// name is public: the journal has it.
const familyLetters = 11

// ledger holds every fact that the service acknowledged: what it told somebody
// and may not take back. The auditor afterwards tries to break each.
type ledger struct {
	mu       sync.Mutex
	codes    map[string]*codeFact
	sessions map[string]*sessionFact
	tokens   map[string]*tokenFact
	keys     []string // made, by name
	secrets  map[string]string
}

// codeFact is a code that a client was given.
type codeFact struct {
	request request
	code    string
	session string
	used    bool // redeemed, and the client was told so
	doubt   bool // redeemed perhaps: the answer was lost
}

// sessionFact is a session that a browser was given.
type sessionFact struct {
	secret string
	uid    string
	ended  bool // another took its place, and the browser was told so
}

// tokenFact is an access token that a client was given.
type tokenFact struct {
	request request
	token   string
	family  string
	revoked bool // its code came again, and that was answered
}

func newLedger() *ledger {
	return &ledger{codes: map[string]*codeFact{}, sessions: map[string]*sessionFact{}, tokens: map[string]*tokenFact{}, secrets: map[string]string{}}
}

// hears remembers a secret, so that it can be looked for where it must not be.
func (l *ledger) hears(kind, secret string) {
	if secret == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets[secret] = kind
}

func (l *ledger) signedIn(session, ended, uid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[session] = &sessionFact{secret: session, uid: uid}
	if was := l.sessions[ended]; was != nil {
		was.ended = true
	}
}

// signedOut marks that everything of a person ended: what they are signed in
// to and all tokens of it.
func (l *ledger) signedOut(uid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	families := map[string]bool{}
	for _, c := range l.codes {
		if s := l.sessions[c.session]; s != nil && s.uid == uid {
			s.ended, families[c.code[:familyLetters]] = true, true
		}
	}
	for _, t := range l.tokens {
		t.revoked = t.revoked || families[t.family]
	}
}

func (l *ledger) issued(r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.codes[r.code] = &codeFact{request: r.request, code: r.code, session: r.session}
}

// tried marks a code whose redemption got no answer.
func (l *ledger) tried(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.codes[code]; c != nil {
		c.doubt = true
	}
}

func (l *ledger) redeemed(r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.codes[r.code]; c != nil {
		c.used = true
	}
	l.tokens[r.tokens.access] = &tokenFact{request: r.request, token: r.tokens.access, family: r.tokens.access[:familyLetters]}
}

// reused marks the tokens of a code that came again and was refused.
func (l *ledger) reused(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.tokens {
		if t.family == code[:familyLetters] {
			t.revoked = true
		}
	}
}

func (l *ledger) madeKey(kids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, kids...)
}

// facts returns copies of what is known now.
func (l *ledger) facts() (codes []codeFact, sessions []sessionFact, tokens []tokenFact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return copies(l.codes), copies(l.sessions), copies(l.tokens)
}

func copies[F any](facts map[string]*F) []F {
	all := make([]F, 0, len(facts))
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		all = append(all, *facts[name])
	}
	return all
}

func (l *ledger) heard() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.secrets)
}
