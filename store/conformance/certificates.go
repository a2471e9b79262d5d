package conformance

import (
	"bytes"
	"errors"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// otherIssuer is an authority beside the one whose cards a registry has.
const otherIssuer = "C3D4"

// certified gives somebody a card of another authority, with a key.
func (w registration) certified(act, uid, serial, key string) error {
	return w.change(act, registry.Touch{People: []string{uid}}, func(r *registry.Records) {
		p := r.People[uid]
		p.Cards = append(p.Cards, directory.Card{Serial: serial, Series: 9, State: "active", Registered: true, EndsOn: "2031-01-01", Certificate: "valid", TriesLeft: 3})
		p.Issuers[serial] = otherIssuer
		p.Issued[serial] = registry.Issued{Certificate: []byte("\x30\x00" + serial), Key: key, AddedAt: noon}
	})
}

func (w registration) certifies() {
	t := w.t
	w.must(w.certified("certify", ada, "0F01", "k1"))
	if r := w.records(registry.Touch{CardKey: "k1"}); len(r.People) != 1 || r.People[ada] == nil {
		t.Errorf("who has a card with that key: %v", r.People)
	}
	p := w.records(registry.Touch{People: []string{ada}}).People[ada]
	if is := p.Issued["0F01"]; !bytes.Equal(is.Certificate, []byte("\x30\x000F01")) || is.Key != "k1" || !is.AddedAt.Equal(noon) || !is.RevokedAt.IsZero() || p.Issuers["0F01"] != otherIssuer {
		t.Errorf("kept: %+v of %s", is, p.Issuers["0F01"])
	}
	if is := p.Issued["0000101"]; is.Certificate != nil || is.Key != "" || !is.AddedAt.IsZero() {
		t.Errorf("of a card in the document: %+v", is)
	}
	if c, err := w.CardByCertificate(t.Context(), otherIssuer, "0F01"); err != nil || c.Holder != ada {
		t.Errorf("CardByCertificate() = %+v, %v", c, err)
	}
	if _, err := w.CardByCertificate(t.Context(), trustIssuer, "0F01"); !errors.Is(err, smartcard.ErrNotRegistered) {
		t.Errorf("of another authority: %v", err)
	}
	w.standing("0F01", false)
	since := noon.Add(time.Hour)
	w.must(w.change("revoke", registry.Touch{Cards: []string{"0F01"}}, func(r *registry.Records) {
		p := r.People[ada]
		i := len(p.Cards) - 1
		p.Cards[i].State = "revoked"
		is := p.Issued["0F01"]
		is.RevokedAt = since
		p.Issued["0F01"] = is
	}))
	w.standing("0F01", true)
	if r := w.records(registry.Touch{CardKey: "k1"}); len(r.People) != 1 || r.People[ada] == nil {
		t.Errorf("who had a card with that key: %v", r.People)
	}
	if r := w.records(registry.Touch{CardKey: "k9"}); len(r.People) > 0 {
		t.Errorf("who had a card with a key that nobody has: %v", r.People)
	}
	if c, err := w.CardStanding(t.Context(), otherIssuer, "0F01"); err != nil || !c.RevokedAt.Equal(since) {
		t.Errorf("CardStanding() = %+v, %v", c, err)
	}
	for day, want := range map[idp.Date]int{"2030-01-01": 1, "2031-01-01": 1, "2031-01-02": 0} {
		if all, err := w.RevokedCards(t.Context(), otherIssuer, day); err != nil || len(all) != want {
			t.Errorf("on %s: %+v, %v; want %d", day, all, err, want)
		}
	}
	if _, err := w.CardStanding(t.Context(), otherIssuer, "0F02"); !errors.Is(err, registry.ErrNoCard) {
		t.Errorf("one that nobody issued: %v", err)
	}
	w.left("certify", "revoke")
}

// standing wants a card of another authority to be revoked, or not.
func (w registration) standing(serial string, revoked bool) {
	w.t.Helper()
	if c, err := w.CardStanding(w.t.Context(), otherIssuer, serial); err != nil || c.Revoked != revoked || c.Serial != serial {
		w.t.Errorf("CardStanding() = %+v, %v", c, err)
	}
	all, err := w.RevokedCards(w.t.Context(), otherIssuer, "2030-01-01")
	if err != nil || len(all) != map[bool]int{true: 1}[revoked] {
		w.t.Errorf("RevokedCards() = %+v, %v", all, err)
	}
}

func (w registration) oneKey() {
	w.must(w.certified("first", ada, "0F01", "k1"))
	w.want(w.certified("same", dan, "0F02", "k1"), idp.ErrTaken)
	w.must(w.certified("other", dan, "0F03", "k2"))
	w.must(w.change("renew", registry.Touch{People: []string{ada}}, func(r *registry.Records) {
		p := r.People[ada]
		p.Cards[len(p.Cards)-1].State = "revoked"
		p.Cards = append(p.Cards, directory.Card{Serial: "0F04", Series: 9, State: "active", Registered: true, Certificate: "valid", TriesLeft: 3})
		p.Issuers["0F04"], p.Issued["0F04"] = otherIssuer, registry.Issued{Key: "k1", AddedAt: noon}
	}))
	w.left("first", "other", "renew")
}
