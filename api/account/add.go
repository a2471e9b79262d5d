package account

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

// The ways of which a person can add an authenticator, by the names of their
// rooms, in the order in which they are offered.
var addable = []authenticators.Kind{authenticators.KeyKind, authenticators.CodeKind, authenticators.FederatedKind}

// choose asks what to add.
func (p *Pages) choose(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	held, err := p.Accounts.Held(r.Context(), o)
	if err != nil {
		return err
	}
	page := web.AccountAdd{Page: p.frame(r, o)}
	for _, kind := range addable {
		if p.Rooms[string(kind)] == nil {
			continue
		}
		if kind == authenticators.CodeKind && o.Person.Email == "" {
			continue // a password needs a name to sign in with
		}
		one := web.Addable{Name: string(kind)}
		for _, a := range held {
			one.Has = one.Has || a.Kind == kind && kind == authenticators.CodeKind
		}
		page.Ways = append(page.Ways, one)
	}
	w.Header().Set("Content-Security-Policy", web.Policy("https:")) // one of its forms leads to the organisation's own provider
	return p.Server.Render(w, http.StatusOK, "account-add", page)
}

// showKey asks for a name before the browser asks for the key.
func (p *Pages) showKey(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	return p.Server.Render(w, http.StatusOK, "account-key", web.AccountKey{Page: p.frame(r, o)})
}

// beginKey gives the browser the question that a new key answers.
func (p *Pages) beginKey(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	e, err := p.enrolment(r.Context(), o)
	if err != nil {
		return err
	}
	question, err := p.Rooms[string(authenticators.KeyKind)].BeginEnrolment(r.Context(), e)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(question)
	return err
}

// addKey keeps the key that answered.
func (p *Pages) addKey(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	name := r.PostFormValue("name")
	err := p.add(r, o, authenticators.KeyKind, json.RawMessage(r.PostFormValue("answer")), name)
	if err == nil {
		return p.done(w, r, "added")
	}
	if errors.Is(err, authenticators.ErrRefused) && !errors.Is(err, passkey.ErrKnown) {
		err = fmt.Errorf("%w: %w", api.ErrKeyNotAdded, err)
	}
	status, m, err := p.problem(r, err)
	if err != nil {
		return err
	}
	return p.Server.Render(w, status, "account-key", web.AccountKey{Page: p.frame(r, o), Name: name, Problem: m})
}

// add lets a room judge an answer and keeps the authenticator that it proved.
func (p *Pages) add(r *http.Request, o idp.Owner, kind authenticators.Kind, answer json.RawMessage, name string) error {
	e, err := p.enrolment(r.Context(), o)
	if err != nil {
		return err
	}
	a, err := p.Rooms[string(kind)].FinishEnrolment(r.Context(), e, answer)
	if err != nil {
		return err
	}
	_, err = p.Accounts.Add(r.Context(), o, a, name)
	return err
}

// showCode shows the secret that an app makes codes of.
func (p *Pages) showCode(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	e, err := p.enrolment(r.Context(), o)
	if err != nil {
		return err
	}
	asked, err := p.Rooms[string(authenticators.CodeKind)].BeginEnrolment(r.Context(), e)
	if err != nil {
		return err
	}
	return p.codePage(w, r, o, http.StatusOK, asked, nil)
}

// codePage shows a question of the room: the secret as a picture and to type.
func (p *Pages) codePage(w http.ResponseWriter, r *http.Request, o idp.Owner, status int, question json.RawMessage, problem *web.Message) error {
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
	page := web.AccountCode{Page: p.frame(r, o), Question: asked.Question, Email: o.Person.Email, Secret: asked.Secret,
		QRSize: asked.QR.Size, QRPath: asked.QR.Path, Problem: problem}
	page.Here, page.Error = "/account/add/totp", problem != nil
	return p.Server.Render(w, status, "account-code", page)
}

// addCode keeps the password and the secret, once the app has shown a right
// code. Who mistyped need not scan anew.
func (p *Pages) addCode(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	lang := p.Server.Frame(r).Lang
	err := p.add(r, o, authenticators.CodeKind, answerOf(r, "question", "password", "code"), p.Server.Site.Text(lang, "held.totp"))
	if err == nil {
		return p.done(w, r, "added")
	}
	again, ok := errors.AsType[totp.Again](err)
	if !ok {
		return err
	}
	status, m, err := p.problem(r, again.Why)
	if err != nil {
		return err
	}
	return p.codePage(w, r, o, status, again.Question, m)
}

// beginFederated sends the browser to the organisation's own provider.
func (p *Pages) beginFederated(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	e, err := p.enrolment(r.Context(), o)
	if err != nil {
		return err
	}
	raw, err := p.Rooms[string(authenticators.FederatedKind)].BeginEnrolment(r.Context(), e)
	if err != nil {
		return err
	}
	return api.SendAway(w, r, raw)
}

// addFederated links the account that the person has there, from where the
// browser comes back.
func (p *Pages) addFederated(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	if !r.URL.Query().Has("state") {
		return p.choose(w, r, o)
	}
	err := p.add(r, o, authenticators.FederatedKind, api.Answered(r), p.Server.Site.Text(p.Server.Frame(r).Lang, "held.federated"))
	if err == nil {
		return p.done(w, r, "added")
	}
	return err
}

// returned has others answer who comes back for them.
func (p *Pages) returned(own http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.Returned == nil || !p.Returned(w, r) {
			own(w, r)
		}
	}
}

// showName asks for another name.
func (p *Pages) showName(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	a, err := p.Accounts.One(r.Context(), o, r.URL.Query().Get("which"))
	if err != nil {
		return err
	}
	if err := o.Session.MayRemove(a.Level, p.Now()); err != nil {
		return p.stepUp(w, r, err)
	}
	return p.Server.Render(w, http.StatusOK, "account-name", web.AccountName{Page: p.frame(r, o), ID: a.ID, Name: a.Name})
}

// rename gives an authenticator another name.
func (p *Pages) rename(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	id, name := r.PostFormValue("which"), r.PostFormValue("name")
	err := p.Accounts.Rename(r.Context(), o, id, name)
	if errors.Is(err, idp.ErrUnnamed) {
		status, m, _ := p.problem(r, err)
		return p.Server.Render(w, status, "account-name", web.AccountName{Page: p.frame(r, o), ID: id, Name: name, Problem: m})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "renamed")
}
