package claim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/totp"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// showKey asks for a name before the browser asks for the key.
func (p *Pages) showKey(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.Rules.Enrolment(r.Context(), p.browser(r), authenticators.KeyKind); err != nil {
		return err
	}
	return p.keyPage(w, r, http.StatusOK, "", nil)
}

func (p *Pages) keyPage(w http.ResponseWriter, r *http.Request, status int, name string, problem *web.Message) error {
	page := web.AccountKey{Page: p.Server.Frame(r), Claim: true, Name: name, Problem: problem}
	page.Here = "/claim/passkey"
	return p.Server.Render(w, status, "account-key", page)
}

// beginKey gives the browser the question that a new key answers.
func (p *Pages) beginKey(w http.ResponseWriter, r *http.Request) error {
	question, err := p.asked(r, key)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(question) //nolint:gosec // JSON that the room made
	return err
}

// addKey keeps the key that answered.
func (p *Pages) addKey(w http.ResponseWriter, r *http.Request) error {
	name := r.PostFormValue("name")
	place, why := p.add(r, key, json.RawMessage(r.PostFormValue("answer")), name)
	if why == nil {
		return p.added(w, r, place)
	}

	if !fixable(why) {
		return why
	}
	if errors.Is(why, authenticators.ErrRefused) && !errors.Is(why, passkey.ErrKnown) {
		why = fmt.Errorf("%w: %w", api.ErrKeyNotAdded, why)
	}
	status, m, err := p.problem(r, why)
	if err != nil {
		return err
	}
	return p.keyPage(w, r, status, name, m)
}

// showCode shows the secret that an app makes codes of.
func (p *Pages) showCode(w http.ResponseWriter, r *http.Request) error {
	question, err := p.asked(r, code)
	if err != nil {
		return err
	}
	return p.secretPage(w, r, http.StatusOK, question, nil)
}

// secretPage shows a question of the room: the secret as a picture and to type.
func (p *Pages) secretPage(w http.ResponseWriter, r *http.Request, status int, question json.RawMessage, problem *web.Message) error {
	who, err := p.Rules.Who(r.Context(), p.browser(r))
	if err != nil {
		return err
	}
	var asked struct {
		Question string `json:"question"`
		Secret   string `json:"secret"`
		QR       struct {
			Size int    `json:"size"`
			Path string `json:"path"`
		} `json:"qr"`
	}
	if err := json.Unmarshal(question, &asked); err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	page := web.AccountCode{Page: p.Server.Frame(r), Claim: true, Question: asked.Question, Email: who.Email, Secret: asked.Secret,
		QRSize: asked.QR.Size, QRPath: asked.QR.Path, Problem: problem}
	page.Here, page.Error = "/claim/totp", problem != nil
	return p.Server.Render(w, status, "account-code", page)
}

// addCode keeps the password and the secret, once the app has shown a right
// code. Who mistyped need not scan anew.
func (p *Pages) addCode(w http.ResponseWriter, r *http.Request) error {
	answer, err := json.Marshal(map[string]string{"question": r.PostFormValue("question"), "password": r.PostFormValue("password"), "code": r.PostFormValue("code")})
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	place, why := p.add(r, code, answer, p.Server.Site.Text(p.Server.Frame(r).Lang, "held.totp"))
	if why == nil {
		return p.added(w, r, place)
	}

	again, ok := errors.AsType[totp.Again](why)
	if !ok {
		return why
	}
	status, m, err := p.problem(r, again.Why)
	if err != nil {
		return err
	}
	return p.secretPage(w, r, status, again.Question, m)
}

// fixable says whether the claim goes on after a refusal: the same form may be
// sent again.
func fixable(err error) bool {
	return errors.Is(err, authenticators.ErrRefused) || errors.Is(err, idp.ErrUnnamed) || errors.Is(err, idp.ErrTaken)
}
