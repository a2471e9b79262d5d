package account

import (
	"errors"
	"net/http"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/web"
)

// confirm asks whether the person is sure.
func (p *Pages) confirm(w http.ResponseWriter, r *http.Request, o idp.Owner, act, name string) error {
	return p.Server.Render(w, http.StatusOK, "account-confirm", web.AccountConfirm{Page: p.frame(r, o), Act: act,
		ID: r.URL.Query().Get("which"), Name: name, Action: r.URL.Path})
}

func (p *Pages) askRemove(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	a, err := p.Accounts.One(r.Context(), o, r.URL.Query().Get("which"))
	if err != nil {
		return err
	}
	if err := o.Session.MayRemove(a.Level, p.Now()); err != nil {
		return p.stepUp(w, r, err)
	}
	return p.confirm(w, r, o, "remove", a.Name)
}

// stepUp sends the person to sign in as an act wants it.
func (p *Pages) stepUp(w http.ResponseWriter, r *http.Request, why error) error {
	if r.Method != http.MethodGet {
		return why
	}
	n := need{fresh: true, level: authenticators.AAL3}
	v, err := p.Server.SignedIn(r, n.login(r.URL.RequestURI(), p.Now()))
	if err != nil {
		return err
	}
	return p.Server.Begin(w, r, v)
}

// remove takes an authenticator away.
func (p *Pages) remove(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	if err := p.Accounts.Remove(r.Context(), o, r.PostFormValue("which")); err != nil {
		return err
	}
	return p.done(w, r, "removed")
}

func (p *Pages) askLost(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	which := r.URL.Query().Get("which")
	for _, c := range o.Person.Cards() {
		if c.Serial == which {
			return p.confirm(w, r, o, "lost", p.Server.Site.Text(p.Server.Frame(r).Lang, "held.smartcard")+" "+c.Serial)
		}
	}
	a, err := p.Accounts.One(r.Context(), o, which)
	if err != nil {
		return err
	}
	return p.confirm(w, r, o, "lost", a.Name)
}

// lose stops what the person has lost. It may be what they are signed in with.
func (p *Pages) lose(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	if err := p.Accounts.Lose(r.Context(), o, r.PostFormValue("which")); err != nil {
		return err
	}
	return p.done(w, r, "lost")
}

func (p *Pages) showPassword(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	return p.Server.Render(w, http.StatusOK, "account-password", web.AccountPassword{Page: p.frame(r, o), ID: r.URL.Query().Get("which"), Email: o.Person.Email})
}

// changePassword takes the new password from who knows the old one and has the
// app.
func (p *Pages) changePassword(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	changed, err := p.Passwords.ChangePassword(r.Context(), o.Person.UID, r.PostFormValue("old"), r.PostFormValue("code"), r.PostFormValue("password"), o.About()...)
	if err == nil {
		err = p.Accounts.SetPassword(r.Context(), o, changed.Authenticator, changed.Use, changed.Once)
	}
	if err == nil {
		return p.done(w, r, "password")
	}
	status, m, err := p.problem(r, err)
	if err != nil {
		return err
	}
	page := web.AccountPassword{Page: p.frame(r, o), ID: r.PostFormValue("which"), Email: o.Person.Email, Problem: m}
	page.Here = "/account/password"
	return p.Server.Render(w, status, "account-password", page)
}

// emailChange is the purpose of codes that prove a new address.
const emailChange = "email"

func (p *Pages) showEmail(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	return p.Server.Render(w, http.StatusOK, "account-email", web.AccountEmail{Page: p.frame(r, o), Email: o.Person.Email})
}

// sendCode sends a code to the new address.
func (p *Pages) sendCode(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	page := web.AccountEmail{Page: p.frame(r, o), Email: o.Person.Email}
	page.Here = "/account/email"
	email, err := idp.ParseEmail(r.PostFormValue("email"))
	if err == nil {
		err = p.Mailed.Send(r.Context(), emailChange+" "+o.Session.Key, o.Person.UID, email, page.Lang)
	}
	if err != nil {
		status, m, err := p.problem(r, err)
		if err != nil {
			return err
		}
		page.Problem = m
		return p.Server.Render(w, status, "account-email", page)
	}
	page.New = email
	return p.Server.Render(w, http.StatusOK, "account-email", page)
}

// changeEmail takes the code that came to the new address.
func (p *Pages) changeEmail(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	why := p.Mailed.Check(r.Context(), emailChange+" "+o.Session.Key, o.Person.UID, r.PostFormValue("code"), func(email string) error { //nolint:contextcheck // it is the request's, called at once
		return p.Accounts.SetEmail(r.Context(), o, email)
	})
	if why == nil {
		return p.done(w, r, "email")
	}
	status, m, err := p.problem(r, why)
	if err != nil {
		return err
	}
	page := web.AccountEmail{Page: p.frame(r, o), Email: o.Person.Email, Problem: m}
	page.Here = "/account/email"
	if email, bad := idp.ParseEmail(r.PostFormValue("email")); bad == nil && errors.Is(why, idp.ErrMailCode) {
		page.New = email // only to be shown: which address it is, the code knows
	}
	return p.Server.Render(w, status, "account-email", page)
}

// endSession signs the person out at one place.
func (p *Pages) endSession(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	if err := p.Accounts.End(r.Context(), o, r.PostFormValue("sid")); err != nil {
		return err
	}
	return p.done(w, r, "ended")
}

func (p *Pages) askEverywhere(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	return p.confirm(w, r, o, "everywhere", "")
}

// endAll signs the person out everywhere, here too.
func (p *Pages) endAll(w http.ResponseWriter, r *http.Request, o idp.Owner) error {
	if err := p.Accounts.EndAll(r.Context(), o); err != nil {
		return err
	}
	p.Server.Browser.SignOut(w)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
