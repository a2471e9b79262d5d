package card

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

// opened is the card in the only reader of a room.
func opened(t *testing.T, r *room) Card {
	t.Helper()
	c, err := Readers{service: r}.Wait(t.Context(), func(w Waiting) { t.Errorf("waits for %s", w) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPIV(t *testing.T) {
	for _, kind := range []virtualcard.KeyType{virtualcard.RSA2048, virtualcard.P256, virtualcard.P384} {
		for protocol, atr := range map[string][]byte{"T=0": virtualcard.T0ATR(), "T=1": virtualcard.DefaultATR()} {
			t.Run(fmt.Sprintf("own rule: a card with %s that speaks %s signs", kind, protocol), func(t *testing.T) {
				inside := ofKind(t, kind, "Dr Asha Smith", func(c *virtualcard.Config) { c.ATR = atr })
				c := opened(t, newRoom(with("Reader", inside)))
				a := c.About()
				if a.Reader != "Reader" || a.GUID != inside.GUID() || a.ATR != inside.ATR() || a.Holder() != "Dr Asha Smith" || a.TriesLeft != 3 {
					t.Errorf("About() = %+v", a)
				}
				err := c.Use([]byte("123456"), func(k crypto.Signer) error { return proves(k) })
				if err != nil {
					t.Errorf("Use() = %v", err)
				}
			})
		}
	}
}

// proves signs what a question of the kind of key would have signed.
func proves(k crypto.Signer) error {
	digest, long := sha256.Sum256([]byte("message")), sha512.Sum384([]byte("message"))
	switch public := k.Public().(type) {
	case *rsa.PublicKey:
		signature, err := k.Sign(rand.Reader, digest[:], pss)
		if err != nil {
			return err
		}
		return rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, pss)
	case *ecdsa.PublicKey:
		of, hash := digest[:], crypto.SHA256
		if public.Params().BitSize == 384 {
			of, hash = long[:], crypto.SHA384
		}
		signature, err := k.Sign(rand.Reader, of, hash)
		if err == nil && !ecdsa.VerifyASN1(public, of, signature) {
			err = errors.New("it is no signature")
		}
		return err
	}
	return errors.New("no such key")
}

func TestUse(t *testing.T) {
	nothing := func(crypto.Signer) error { return nil }
	t.Run("own rule: a wrong passcode says how many tries are left, and the last locks", func(t *testing.T) {
		c := opened(t, newRoom(with("Reader", aCard(t, "Asha", nil))))
		for _, left := range []int{2, 1, 0} {
			err := c.Use([]byte("111111"), nothing)
			if wrong, ok := errors.AsType[PINError](err); !ok || wrong.TriesLeft != left || errors.Is(err, ErrBlocked) != (left == 0) {
				t.Errorf("Use() = %v, want %d left", err, left)
			}
		}
		if err := c.Use([]byte("123456"), nothing); !errors.Is(err, ErrBlocked) {
			t.Errorf("Use() = %v, want a locked card", err)
		}
	})
	t.Run("own rule: what can be no passcode costs no try", func(t *testing.T) {
		inside := aCard(t, "Asha", nil)
		c := opened(t, newRoom(with("Reader", inside)))
		for _, passcode := range []string{"", "12345", "123456789", "abcdef", "123456\xFF"} {
			err := c.Use([]byte(passcode), nothing)
			if wrong, ok := errors.AsType[PINError](err); passcode != "123456\xFF" && (!ok || wrong.TriesLeft != 3) || inside.TriesLeft() != 3 {
				t.Errorf("Use(%q) = %v", passcode, err)
			}
		}
	})
	t.Run("own rule: a locked card is known before any passcode", func(t *testing.T) {
		c := opened(t, newRoom(with("Reader", aCard(t, "Asha", func(c *virtualcard.Config) { c.TriesLeft = new(0) }))))
		if c.About().TriesLeft != 0 {
			t.Errorf("About() = %+v", c.About())
		}
	})
	t.Run("own rule: after the transaction nobody finds the passcode tried, and the key is taken back", func(t *testing.T) {
		inside := aCard(t, "Asha", nil)
		r := newRoom(with("Reader", inside))
		c := opened(t, r)
		var kept crypto.Signer
		if err := c.Use([]byte("123456"), func(k crypto.Signer) error { kept = k; return nil }); err != nil {
			t.Fatal(err)
		}
		sent := r.sent
		if err := proves(kept); err == nil || r.sent != sent {
			t.Errorf("the key is still asked: %v", err)
		}
		other, err := r.Connect(t.Context(), "Reader")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		if err := selectPIV(other); err != nil {
			t.Fatal(err)
		}
		if _, sw, err := exchange(other, insVerify, 0, passcodeID, nil, false); err != nil || sw != 0x63C3 {
			t.Errorf("another program finds %v, %v", sw, err)
		}
	})
	t.Run("own rule: a card that another program was let into says its tries all the same", func(t *testing.T) {
		inside := aCard(t, "Asha", nil)
		r := newRoom(with("Reader", inside))
		other, err := r.Connect(t.Context(), "Reader")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		if err := errors.Join(selectPIV(other), verify(other, []byte("123456"))); err != nil {
			t.Fatal(err)
		}
		if a := opened(t, r).About(); a.TriesLeft != 3 {
			t.Errorf("About() = %+v", a)
		}
	})
	t.Run("own rule: a card that is taken out at any step is said to be, and signs nothing", func(t *testing.T) {
		whole := newRoom(with("Reader", ofKind(t, virtualcard.RSA2048, "Asha", nil)))
		c := opened(t, whole)
		read := whole.sent
		if err := c.Use([]byte("123456"), proves); err != nil {
			t.Fatal(err)
		}
		for at := read + 1; at <= whole.sent; at++ {
			r := newRoom(with("Reader", ofKind(t, virtualcard.RSA2048, "Asha", nil)))
			r.pullAt = at
			if err := opened(t, r).Use([]byte("123456"), proves); !errors.Is(err, ErrRemoved) {
				t.Errorf("at command %d: Use() = %v", at, err)
			}
		}
	})
	t.Run("own rule: another card in its place gets no passcode", func(t *testing.T) {
		r, other := newRoom(with("Reader", aCard(t, "Asha", nil))), aCard(t, "Ben", nil)
		c := opened(t, r)
		in := c.(*inReader).c.(*heeding).c.(*plugged) //nolint:forcetypeassert // of this room
		r.mu.Lock()
		in.powered = other.Power() // as if nobody had noticed
		r.slots[0].powered = in.powered
		r.mu.Unlock()
		if err := c.Use([]byte("111111"), nothing); !errors.Is(err, ErrRemoved) || other.TriesLeft() != 3 {
			t.Errorf("Use() = %v, tries left %d", err, other.TriesLeft())
		}
	})
	t.Run("own rule: a card that takes no passcode through the air is no card to sign in with here, and loses no try", func(t *testing.T) {
		for _, sw := range [][]byte{{0x69, 0x82}, {0x69, 0x85}} {
			if _, err := readTries(&answers{left: append([]byte{1}, sw...)}); !errors.Is(err, ErrContactless) || !errors.Is(err, ErrUnsupported) {
				t.Errorf("%X: readTries() = %v", sw, err)
			}
			if err := verify(&answers{left: append([]byte{1}, sw...)}, []byte("123456")); !errors.Is(err, ErrContactless) {
				t.Errorf("%X: verify() = %v", sw, err)
			}
		}
	})
	t.Run("own rule: RSA signs in no other way than by PSS", func(t *testing.T) {
		digest := sha256.Sum256(nil)
		err := opened(t, newRoom(with("Reader", ofKind(t, virtualcard.RSA2048, "Asha", nil)))).Use([]byte("123456"), func(k crypto.Signer) error {
			for _, opts := range []crypto.SignerOpts{crypto.SHA256, &rsa.PSSOptions{Hash: crypto.SHA256}, crypto.Hash(0)} {
				if _, err := k.Sign(rand.Reader, digest[:], opts); err == nil {
					t.Errorf("signed with %#v", opts)
				}
			}
			return proves(k)
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestCertificateIn(t *testing.T) {
	der := aCard(t, "Asha", nil).Certificate().Raw
	packed := func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write(b)
		_ = w.Close()
		return out.Bytes()
	}
	for name, tt := range map[string]struct {
		value []byte
		info  byte
		want  bool
	}{
		"as it is":                  {der, 0x00, true},
		"compressed":                {packed(der), 0x01, true},
		"compressed, the other way": {packed(der), 0x80, true},
		"said to be compressed":     {der, 0x01, false},
		"far longer than it looks":  {packed(make([]byte, 10<<20)), 0x01, false},
		"no certificate":            {[]byte{0x30, 0}, 0x00, false},
	} {
		t.Run("own rule: a certificate "+name, func(t *testing.T) {
			c, err := certificateIn(append(tagged(0x70, tt.value), 0x71, 0x01, tt.info, 0xFE, 0x00))
			if (err == nil) != tt.want || err != nil && !errors.Is(err, ErrUnsupported) || err == nil && !bytes.Equal(c.Raw, der) {
				t.Errorf("certificateIn() = %v", err)
			}
		})
	}
}

// answers is a card that answers whatever it likes.
type answers struct {
	left []byte
	t0   bool
}

func (a *answers) Process([]byte) []byte {
	n := 0
	if len(a.left) > 0 {
		n = min(len(a.left), int(a.left[0])+2)
	}
	answer := a.left[:n]
	a.left = a.left[n:]
	return answer
}
func (*answers) Reset()                                    {}
func (a *answers) T0() bool                                { return a.t0 }
func (*answers) Begin() error                              { return nil }
func (a *answers) Transmit(command []byte) ([]byte, error) { return a.Process(command), nil }
func (*answers) End(bool) error                            { return nil }
func (*answers) Close() error                              { return nil }

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0x90, 0x00}, true)
	f.Add([]byte{0, 0x61, 0, 0, 0x6C, 5}, false)
	f.Add(append([]byte{22}, 0x53, 18, 0x34, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x90, 0), true)
	f.Fuzz(func(t *testing.T, all []byte, t0 bool) {
		c := &answers{left: all, t0: t0}
		if selectPIV(c) == nil {
			if a, err := readAbout(c); err == nil && (len(a.GUID) != 32 || a.Certificate == nil) {
				t.Errorf("%X makes %+v", all, a)
			}
		}
		_ = verify(&answers{left: all, t0: t0}, []byte("123456"))
		if s, err := authenticate(&answers{left: all, t0: t0}, 0x11, make([]byte, 300)); err == nil && len(s) == 0 {
			t.Errorf("%X makes an empty signature", all)
		}
	})
}
