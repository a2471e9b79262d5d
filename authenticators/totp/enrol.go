package totp

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"rsc.io/qr"

	"github.com/lanyard-id/lanyard/authenticators"
)

// codeTries is how many wrong codes one seed sees before it is given up.
const codeTries = 5

// Again is the refusal of an answer that its person may give once more: Why,
// and the question anew, with the seed that is in their app already. It has
// the form of BeginEnrolment's.
type Again struct {
	Why      error
	Question json.RawMessage
}

// Error returns the reason.
func (a Again) Error() string { return a.Why.Error() }

// Unwrap makes an Again what its reason is, and so a refusal.
func (a Again) Unwrap() error { return a.Why }

// offer is the question of an enrolment.
type offer struct {
	Question string `json:"question"`
	URI      string `json:"uri"`    // otpauth, what the QR code says
	Secret   string `json:"secret"` // base32 in groups of four, for who types
	QR       image  `json:"qr"`
}

// image is a QR code as one path: <svg viewBox="0 0 size size"><path d="path">.
// It stands in the page itself, whose policy lets no data URL through.
type image struct {
	Size int    `json:"size"` // with the quiet zone
	Path string `json:"path"`
}

// BeginEnrolment makes a seed and returns {question, uri, secret, qr: {size,
// path}}.
func (r *Room) BeginEnrolment(ctx context.Context, e authenticators.Enrolment) (json.RawMessage, error) {
	if e.ID == "" || e.Browser == "" || e.Subject == "" || e.Email == "" {
		return nil, errors.New("begin enrolment: the act has no ID, browser, person or e-mail")
	}
	if slices.ContainsFunc(e.Held, func(a authenticators.Authenticator) bool { return a.Kind == authenticators.CodeKind }) {
		return nil, ErrHeld
	}
	seed, err := r.random(seedSize)
	if err != nil {
		return nil, err
	}
	sealed, err := r.sealer.Seal(seed, sealedFor(e.Subject))
	if err != nil {
		return nil, fmt.Errorf("seal seed: %w", err)
	}
	return r.offer(ctx, e, seed, asked{
		For: enrol, ID: e.ID, Browser: e.Browser, Subject: e.Subject,
		Seed: sealed, Tries: codeTries, Expires: r.now().Add(enrolmentLife),
	})
}

// offer keeps q and returns it as the page shows it.
func (r *Room) offer(ctx context.Context, e authenticators.Enrolment, seed []byte, q asked) (json.RawMessage, error) {
	secret := base32.StdEncoding.EncodeToString(seed) // 32 characters, no padding
	uri := r.uri(e.Email, secret)
	picture, err := draw(uri)
	if err != nil {
		return nil, err
	}
	name, err := r.ask(ctx, q, q.Expires)
	if err != nil {
		return nil, err
	}
	var groups []string
	for g := range slices.Chunk([]byte(secret), 4) {
		groups = append(groups, string(g))
	}
	return json.Marshal(offer{Question: name, URI: uri, Secret: strings.Join(groups, " "), QR: picture})
}

// uri is the text that authenticator apps read.
func (r *Room) uri(email, secret string) string {
	v := url.Values{"secret": {secret}, "issuer": {r.service}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	query := strings.ReplaceAll(v.Encode(), "+", "%20") // apps show a plus as it stands
	return "otpauth://totp/" + url.PathEscape(r.service+":"+email) + "?" + query
}

// draw makes one path of a QR code: every run of dark modules is a box.
func draw(text string) (image, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return image{}, fmt.Errorf("draw QR code: %w", err)
	}
	const quiet = 4 // light modules all around
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, n, n)
			}
		}
	}
	return image{Size: code.Size + 2*quiet, Path: path.String()}, nil
}

// FinishEnrolment takes {question, password, code}. A password that will not
// do and a wrong code are an Again, until the fifth wrong code or the
// question's end.
func (r *Room) FinishEnrolment(ctx context.Context, e authenticators.Enrolment, raw json.RawMessage) (authenticators.Authenticator, error) {
	now := r.now()
	a, err := readAnswer(raw)
	if err != nil {
		return authenticators.Authenticator{}, err
	}
	q, err := r.take(ctx, a.Question, enrol, e.ID, e.Browser, now)
	if err != nil {
		return authenticators.Authenticator{}, err
	}
	if !same(q.Subject, e.Subject) {
		return authenticators.Authenticator{}, authenticators.ErrAnswer
	}
	seed, err := r.sealer.Unseal(q.Seed, sealedFor(q.Subject))
	if err != nil {
		return authenticators.Authenticator{}, fmt.Errorf("open seed of an enrolment: %w", err)
	}

	step, has := matchCode(seed, a.Code, now, 0)
	if !has {
		q.Tries--
		return authenticators.Authenticator{}, r.again(ctx, e, seed, q, ErrCode)
	}
	if err := CheckPassword(a.Password, e.Email, e.Display, r.service); err != nil {
		return authenticators.Authenticator{}, r.again(ctx, e, seed, q, err)
	}
	return r.made(ctx, q, a.Password, step)
}

// again asks once more with the same seed, and says why.
func (r *Room) again(ctx context.Context, e authenticators.Enrolment, seed []byte, q asked, why error) error {
	if q.Tries <= 0 {
		return why
	}
	question, err := r.offer(ctx, e, seed, q)
	if err != nil {
		return err
	}
	return Again{Why: why, Question: question}
}

// made is the authenticator that was proved. Its seed stays sealed as it was.
func (r *Room) made(ctx context.Context, q asked, password string, step int64) (authenticators.Authenticator, error) {
	done, err := r.hashes.turn(ctx)
	if err != nil {
		return authenticators.Authenticator{}, err
	}
	defer done()
	hash, err := r.hashes.of(password)
	if err != nil {
		return authenticators.Authenticator{}, err
	}
	raw, err := json.Marshal(record{Hash: hash, Seed: q.Seed})
	if err != nil {
		return authenticators.Authenticator{}, fmt.Errorf("write record: %w", err)
	}
	return authenticators.Authenticator{
		Subject: q.Subject, Kind: authenticators.CodeKind, Handle: q.Subject, Method: authenticators.TOTP, Level: authenticators.AAL2,
		Record: raw, Mark: marked(step),
	}, nil
}
