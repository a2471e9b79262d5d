package demo

import (
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// signedIn is a person who is signed in to the demo application.
type signedIn struct {
	Subject  string
	SID      string
	Name     string
	Role     *workedIn // nil: signed in without a role
	Roles    int       // how many roles userinfo tells of
	ACR      string
	AMR      []string
	Level    string
	SignedIn time.Time
	IDToken  string // claims, as JSON to read
	UserInfo string

	raw string // the ID token as it came: shown to the provider to sign out
}

// workedIn is the role that a person chose, in words.
type workedIn struct {
	Name         string
	Organisation string
	Code         string // of the organisation
	ID           string // person_roleid
}

// idClaims are the claims of the ID token that the application looks at.
type idClaims struct {
	SID      string   `json:"sid"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	Level    string   `json:"authentication_assurance_level"`
	AuthTime int64    `json:"auth_time"`
	Role     string   `json:"selected_roleid"`
}

// infoClaims are the claims of userinfo that the application looks at.
type infoClaims struct {
	Name    string `json:"name"`
	Display string `json:"display_name"`
	Roles   []struct {
		ID   string `json:"person_roleid"`
		Code string `json:"org_code"`
		Name string `json:"role_name"`
	} `json:"nhsid_nrbac_roles"`
	Orgs []struct {
		Name string `json:"org_name"`
		Code string `json:"org_code"`
	} `json:"nhsid_user_orgs"`
}

// person puts together who signed in, and how, from claims that were checked.
func (a *rp) person(l login, id *oidc.IDToken, info *oidc.UserInfo) (signedIn, error) {
	var (
		from idClaims
		more infoClaims
		err  error
	)
	s := signedIn{Subject: id.Subject}
	if s.IDToken, err = claimsOf(id, &from); err != nil {
		return signedIn{}, err
	}
	if s.UserInfo, err = claimsOf(info, &more); err != nil {
		return signedIn{}, err
	}
	s.SignedIn = time.Unix(from.AuthTime, 0).UTC()
	// OIDC Core §3.1.3.7: whoever asks for max_age has to look at auth_time.
	if l.aged && a.Now().Sub(s.SignedIn) > l.maxAge+time.Minute {
		return signedIn{}, refuse("bad_id_token", "the sign-in is older than max_age allows")
	}
	s.SID, s.ACR, s.AMR, s.Level = from.SID, from.ACR, from.AMR, from.Level
	s.Name = firstOf(more.Display, more.Name, id.Subject)
	s.Roles = len(more.Roles)
	s.Role = more.role(from.Role)
	return s, nil
}

// role finds the chosen role among the person's, and the name of its
// organisation.
func (c infoClaims) role(id string) *workedIn {
	if id == "" {
		return nil
	}
	w := &workedIn{ID: id, Name: id}
	for _, r := range c.Roles {
		if r.ID == id {
			w.Name, w.Code = lastPart(r.Name), r.Code
		}
	}
	for _, o := range c.Orgs {
		if o.Code == w.Code {
			w.Organisation = o.Name
		}
	}
	return w
}

// lastPart returns the last of the quoted names that a role's name consists of.
func lastPart(name string) string {
	parts := strings.Split(strings.Trim(name, `"`), `":"`)
	return parts[len(parts)-1]
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// shelf keeps things in memory for a while. When it is full the oldest goes,
// so nobody can make it grow without end.
type shelf[V any] struct {
	life time.Duration
	now  func() time.Time

	mu   sync.Mutex
	kept map[string]kept[V]
}

type kept[V any] struct {
	value   V
	expires time.Time
}

func newShelf[V any](life time.Duration, now func() time.Time) *shelf[V] {
	return &shelf[V]{life: life, now: now, kept: map[string]kept[V]{}}
}

// put keeps v under key, and says false if something is kept there already.
func (s *shelf[V]) put(key string, v V) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if old, ok := s.kept[key]; ok && now.Before(old.expires) {
		return false
	}
	if len(s.kept) >= shelfSize {
		s.makeRoom(now)
	}
	s.kept[key] = kept[V]{v, now.Add(s.life)}
	return true
}

// makeRoom drops what has expired, and the oldest if nothing has.
func (s *shelf[V]) makeRoom(now time.Time) {
	oldest, at := "", time.Time{}
	for key, k := range s.kept {
		if !now.Before(k.expires) {
			delete(s.kept, key)
		} else if oldest == "" || k.expires.Before(at) {
			oldest, at = key, k.expires
		}
	}
	if len(s.kept) >= shelfSize {
		delete(s.kept, oldest)
	}
}

func (s *shelf[V]) get(key string) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[key]
	if !ok || !s.now().Before(k.expires) {
		var none V
		return none, false
	}
	return k.value, true
}

// take returns what is kept under key to the first who asks.
func (s *shelf[V]) take(key string) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.kept[key]
	delete(s.kept, key)
	if !ok || !s.now().Before(k.expires) {
		var none V
		return none, false
	}
	return k.value, true
}

// drop removes what fits, and returns how many that were.
func (s *shelf[V]) drop(fits func(V) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for key, k := range s.kept {
		if fits(k.value) {
			delete(s.kept, key)
			n++
		}
	}
	return n
}
