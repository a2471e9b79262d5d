package registry

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

const (
	longestSearch = 200
	mostWords     = 5

	// mostFound is how many a page has that asks for more, or does not say.
	mostFound = 1000
	usual     = 50
)

// Search is what somebody typed into the one box, as it can be looked for.
type Search struct {
	UID    string // 12 digits
	Email  string // what idp.EmailKey makes of it, if it has an @
	Serial string // as certificates have it; also of what is a name by its letters
	Words  []string
	Whole  string // the words with one space between
}

// Search returns what q looks for. Nothing of it is found nowhere.
func (q Query) Search() Search {
	text := q.Text
	if len(text) > longestSearch || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return Search{}
	}
	s := Search{Words: strings.Fields(strings.ToLower(text))}
	s.Words = s.Words[:min(len(s.Words), mostWords)]
	s.Whole = strings.Join(s.Words, " ")
	one := strings.TrimSpace(text)
	if idp.IsUID(one) {
		s.UID = one
	}
	if strings.Contains(one, "@") {
		s.Email = idp.EmailKey(one)
	}
	if len(one) >= 4 && strings.ContainsAny(one, "0123456789") {
		s.Serial = directory.CardSerial(one)
	}
	return s
}

// Size returns how many a page of q has at most.
func (q Query) Size() int {
	if q.Most <= 0 {
		return usual
	}
	return min(q.Most, mostFound)
}

// Place is where a page ended: the rank of what was found, and what it is in
// order by.
type Place struct {
	Rank int       `json:"r"`
	Keys [3]string `json:"k"`
}

// Cursor writes p so that a query can go on after it.
func (p Place) Cursor() string {
	text, _ := json.Marshal(p) // numbers and text can always be written
	return base64.RawURLEncoding.EncodeToString(text)
}

// Place returns where q goes on. What is no cursor is the beginning.
func (q Query) Place() (Place, bool) {
	var p Place
	text, err := base64.RawURLEncoding.DecodeString(q.After)
	if err != nil || len(text) > 4096 || len(text) == 0 || json.Unmarshal(text, &p) != nil {
		return Place{}, false
	}
	for _, k := range p.Keys {
		if !utf8.ValidString(k) || strings.ContainsRune(k, 0) {
			return Place{}, false
		}
	}
	return p, true
}

// Less says whether p comes before o.
func (p Place) Less(o Place) bool {
	if p.Rank != o.Rank {
		return p.Rank < o.Rank
	}
	for i, k := range p.Keys {
		if k != o.Keys[i] {
			return k < o.Keys[i]
		}
	}
	return false
}

// The ranks of what is found, the best first.
const (
	Exactly   = iota // by what is one person's alone
	ByWhole          // the family name, whole
	ByFamily         // the beginning of the family name; of several words, given and family name
	ByGiven          // the beginning of a given name; of several words, family and given name
	ByTitle          // a title before given and family name
	ByDisplay        // the beginning of the name as it is shown
	ByAddress        // the beginning of an e-mail
	noRank
)

// Ranks are all of them, in order.
func Ranks() []int { return []int{Exactly, ByWhole, ByFamily, ByGiven, ByTitle, ByDisplay, ByAddress} }

// Find says where p stands among what s finds, if it does. Stores that keep
// people elsewhere find the same by other means.
func (s Search) Find(p directory.Person) (Place, bool) {
	family, given := strings.ToLower(p.Name.Family), strings.ToLower(p.Name.Given)
	at := Place{Keys: [3]string{family, given, p.UID}}
	at.Rank = s.rank(p, family, given)
	switch at.Rank {
	case ByGiven:
		at.Keys[0], at.Keys[1] = given, family
	case ByDisplay:
		at.Keys = [3]string{strings.ToLower(p.Name.Display), p.UID}
	case ByAddress:
		at.Keys = [3]string{idp.EmailKey(p.Email), p.UID}
	}
	return at, at.Rank != noRank
}

func (s Search) rank(p directory.Person, family, given string) int {
	if len(s.Words) == 0 {
		return noRank
	}
	email, display := idp.EmailKey(p.Email), strings.ToLower(p.Name.Display)
	if s.UID == p.UID || s.Email != "" && s.Email == email {
		return Exactly
	}
	for _, c := range p.Cards {
		if s.Serial != "" && directory.CardSerial(c.Serial) == s.Serial {
			return Exactly
		}
	}
	first, last, title := s.Words[0], s.Words[len(s.Words)-1], strings.ToLower(p.Name.Title)
	begins := strings.HasPrefix
	switch {
	case len(s.Words) == 1 && family == first:
		return ByWhole
	case len(s.Words) == 1 && begins(family, first), len(s.Words) > 1 && begins(given, first) && begins(family, last) && s.between(p, 1):
		return ByFamily
	case len(s.Words) == 1 && begins(given, first), len(s.Words) > 1 && begins(family, first) && begins(given, last) && s.between(p, 1):
		return ByGiven
	case len(s.Words) > 2 && begins(title, first) && begins(given, s.Words[1]) && begins(family, last) && s.between(p, 2),
		len(s.Words) == 2 && title == strings.TrimSuffix(first, ".") && begins(family, last):
		return ByTitle
	case begins(display, s.Whole):
		return ByDisplay
	case len(s.Whole) >= 3 && email != "" && begins(email, s.Whole):
		return ByAddress
	}
	return noRank
}

// Between returns the words between the first so many and the last: they are
// other names of the person's.
func (s Search) Between(first int) []string {
	if len(s.Words) <= first+1 {
		return nil
	}
	return s.Words[first : len(s.Words)-1]
}

func (s Search) between(p directory.Person, first int) bool {
	names := " " + strings.ToLower(p.Name.Given+" "+p.Name.Middle+" "+p.Name.Family+" "+p.Name.Display)
	for _, w := range s.Between(first) {
		if !strings.Contains(names, " "+w) {
			return false
		}
	}
	return true
}
