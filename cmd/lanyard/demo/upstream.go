package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/web"
)

// UpstreamPath is where the provider of the demo people's organisation stands
// in a development service.
const UpstreamPath = "/dev/upstream"

// UpstreamConfig is what that provider has to know.
type UpstreamConfig struct {
	Issuer       string // ends in the path under which the handler is reached
	ClientID     string // its one client, Lanyard
	ClientSecret string
	RedirectURIs []string
	People       []UpstreamPerson
	Site         *web.Site
	Frame        func(*http.Request) web.Page // what every page of the service has
	Now          func() time.Time
	Log          *slog.Logger
}

// UpstreamPerson is an account there.
type UpstreamPerson struct {
	UID              string // of who has linked it; nothing here depends on it
	Sub, Name, Email string
	PasswordOnly     bool // signs in without a second factor, so that the refusal can be seen
}

// upstream is a small OpenID Connect provider on which people are chosen and
// nothing is proved: it stands in for one, so that federation can be tried.
type upstream struct {
	UpstreamConfig
	signer jose.Signer
	public jose.JSONWebKey
	asked  *shelf[url.Values] // authorization requests that nobody has answered, by name
	codes  *shelf[upstreamGrant]
}

// upstreamGrant is what a code stands for.
type upstreamGrant struct {
	asked  url.Values
	person UpstreamPerson
	at     time.Time
}

const codeLife = time.Minute

// accounts is how many people the page offers.
const accounts = 5

// UpstreamPeople returns accounts of the first people of a directory whose
// profile is verified, and before them of those who have no card. The last of
// them has a password alone.
func UpstreamPeople(people []directory.Person) []UpstreamPerson {
	var all []UpstreamPerson
	people = slices.SortedStableFunc(slices.Values(people), func(a, b directory.Person) int {
		return min(len(a.Cards), 1) - min(len(b.Cards), 1)
	})
	for _, p := range people {
		if p.Profile == "verified" && p.Email != "" && len(all) < accounts {
			all = append(all, UpstreamPerson{UID: p.UID, Sub: UpstreamSub(p.UID), Name: strings.TrimSpace(p.Name.Given + " " + p.Name.Family), Email: p.Email})
		}
	}
	if len(all) > 1 {
		all[len(all)-1].PasswordOnly = true
	}
	return all
}

// UpstreamSub returns the subject there of the person with that uid.
func UpstreamSub(uid string) string { return "riverside-" + uid }

// NewUpstream returns the provider. It serves paths below that of its issuer,
// and makes a new key each time.
func NewUpstream(c UpstreamConfig) (http.Handler, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("upstream's issuer: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // made in no time, so nobody waits for it at the start
	if err != nil {
		return nil, fmt.Errorf("make the upstream's key: %w", err)
	}
	public := jose.JSONWebKey{Key: key.Public(), KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: public.KeyID}}, nil)
	if err != nil {
		return nil, fmt.Errorf("make the upstream's signer: %w", err)
	}
	u := &upstream{UpstreamConfig: c, signer: signer, public: public,
		asked: newShelf[url.Values](loginLife, c.Now), codes: newShelf[upstreamGrant](codeLife, c.Now)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+issuer.Path+"/.well-known/openid-configuration", u.discovery)
	mux.HandleFunc("GET "+issuer.Path+"/jwks", u.jwks)
	mux.HandleFunc("GET "+issuer.Path+"/authorize", u.authorize)
	mux.Handle("POST "+issuer.Path+"/choose", http.NewCrossOriginProtection().Handler(http.HandlerFunc(u.choose)))
	mux.HandleFunc("POST "+issuer.Path+"/token", u.token)
	return mux, nil
}

func (u *upstream) discovery(w http.ResponseWriter, _ *http.Request) {
	u.answer(w, http.StatusOK, map[string]any{
		"issuer": u.Issuer, "authorization_endpoint": u.Issuer + "/authorize", "token_endpoint": u.Issuer + "/token", "jwks_uri": u.Issuer + "/jwks",
		"response_types_supported": []string{"code"}, "response_modes_supported": []string{"query"}, "grant_types_supported": []string{"authorization_code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}, "code_challenge_methods_supported": []string{"S256"},
		"scopes_supported": []string{"openid", "email"}, "claims_supported": []string{"sub", "email", "auth_time", "amr"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func (u *upstream) jwks(w http.ResponseWriter, _ *http.Request) {
	u.answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{u.public}})
}

// authorize shows whom to sign in as. Everybody is asked every time: there are
// no sessions here.
func (u *upstream) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	challenge, _ := base64.RawURLEncoding.DecodeString(q.Get("code_challenge"))
	switch {
	case q.Get("client_id") != u.ClientID || !slices.Contains(u.RedirectURIs, q.Get("redirect_uri")):
		http.Error(w, "the client or its redirect URI is not registered here", http.StatusBadRequest)
		return
	case q.Get("response_type") != "code" || !slices.Contains(strings.Fields(q.Get("scope")), "openid") ||
		q.Get("code_challenge_method") != "S256" || len(challenge) != sha256.Size || q.Get("state") == "" || q.Get("nonce") == "":
		u.back(w, r, q, "error", "invalid_request")
		return
	}
	page := web.DevUpstream{Page: u.Frame(r), Action: u.Issuer + "/choose", Asked: rand.Text()}
	for _, p := range u.People {
		page.People = append(page.People, web.DevAccount{Sub: p.Sub, Name: p.Name, Email: p.Email, PasswordOnly: p.PasswordOnly})
	}
	u.asked.put(page.Asked, q)

	html, err := u.Site.Render(page.Language(), "dev-upstream", page)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError) // to a developer, of their own computer
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", web.Policy("https:", "http:")) // the form's answer leads on, to whatever application asked first
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(html) // who has gone is not told
}

// choose signs in whoever was chosen, or nobody.
func (u *upstream) choose(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formLimit)
	q, ok := u.asked.take(r.PostFormValue("asked"))
	if !ok {
		http.Error(w, "nobody asked for this sign-in, or too long ago", http.StatusBadRequest)
		return
	}
	i := slices.IndexFunc(u.People, func(p UpstreamPerson) bool { return p.Sub == r.PostFormValue("sub") })
	if i < 0 || r.PostForm.Has("stop") {
		u.back(w, r, q, "error", "access_denied")
		return
	}
	code := rand.Text()
	u.codes.put(code, upstreamGrant{asked: q, person: u.People[i], at: u.Now()})
	u.back(w, r, q, "code", code)
}

// back sends the browser to the client. RFC 9207 §2: with who we are.
func (u *upstream) back(w http.ResponseWriter, r *http.Request, q url.Values, name, value string) {
	answer := url.Values{name: {value}, "state": {q.Get("state")}, "iss": {u.Issuer}}
	to := q.Get("redirect_uri")
	if strings.Contains(to, "?") {
		to += "&"
	} else {
		to += "?"
	}
	http.Redirect(w, r, to+answer.Encode(), http.StatusSeeOther) //nolint:gosec // one of RedirectURIs: authorize saw to that
}

// token gives the ID token that a code stands for, to the client that asked.
func (u *upstream) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formLimit)
	id, secret, _ := r.BasicAuth()
	if id != u.ClientID || subtle.ConstantTimeCompare([]byte(secret), []byte(u.ClientSecret)) != 1 {
		u.answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	g, ok := u.codes.take(r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != g.asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != g.asked.Get("code_challenge") {
		u.answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	signed, err := u.sign(g)
	if err != nil {
		u.Log.ErrorContext(r.Context(), "sign at the upstream provider", "error", err)
		u.answer(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	u.answer(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 60, "id_token": signed})
}

func (u *upstream) sign(g upstreamGrant) (string, error) {
	amr := []string{"mfa", "pwd"}
	if g.person.PasswordOnly {
		amr = []string{"pwd"}
	}
	now := u.Now()
	claims := map[string]any{"iss": u.Issuer, "sub": g.person.Sub, "aud": u.ClientID, "nonce": g.asked.Get("nonce"), "amr": amr,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": g.at.Unix()}
	if slices.Contains(strings.Fields(g.asked.Get("scope")), "email") {
		claims["email"] = g.person.Email
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := u.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (u *upstream) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who has gone is not told
}
