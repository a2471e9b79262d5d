package virtualcard_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// powered is a card of a kind with the power on.
func powered(t testing.TB, kind virtualcard.KeyType, atr []byte) (*virtualcard.Card, *virtualcard.Powered) {
	t.Helper()
	key, err := virtualcard.GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	card, err := virtualcard.New(virtualcard.Config{Key: key, Certificate: certificate, GUID: [16]byte{0xAB, 1}, ATR: atr, Passcode: "123456", PUK: "12345678"})
	if err != nil {
		t.Fatal(err)
	}
	return card, card.Power()
}

// says sends commands in hex, and returns the last answer in hex.
func says(t testing.TB, p *virtualcard.Powered, commands ...string) string {
	t.Helper()
	var answer []byte
	for _, c := range commands {
		raw, err := hex.DecodeString(strings.ReplaceAll(c, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		answer = p.Process(raw)
	}
	return strings.ToUpper(hex.EncodeToString(answer))
}

const (
	selectPIV = "00 A4 04 00 09 A00000030800001000 00"
	right     = "00 20 00 80 08 313233343536FFFF"
	wrong     = "00 20 00 80 08 313131313131FFFF"
	tries     = "00 20 00 80"
	logOut    = "00 20 FF 80"

	change       = "00 24 00 80 10 313233343536FFFF 363534333231FFFF"
	changeWrong  = "00 24 00 80 10 313131313131FFFF 363534333231FFFF"
	changePUK    = "00 24 00 81 10 3132333435363738 3837363534333231"
	unblock      = "00 2C 00 80 10 3132333435363738 363534333231FFFF"
	unblockWrong = "00 2C 00 80 10 3131313131313131 363534333231FFFF"

	holder      = "00 CB 3F FF 05 5C035FC102 00"
	certificate = "00 CB 3F FF 05 5C035FC105 00"
)

func TestProcess(t *testing.T) {
	for _, tt := range []struct {
		rule     string
		commands []string
		want     string // how the last answer ends
	}{
		{"SP 800-73-4 part 2 §3.1.1: the application answers to its name", []string{selectPIV}, "61114F0600001000010079074F05A0000003089000"},
		{"SP 800-73-4 part 2 §3.1.1: cut off at the right, too", []string{"00 A4 04 00 05 A000000308 00"}, "9000"},
		{"SP 800-73-4 part 2 §3.1.1: another application is not there", []string{"00 A4 04 00 05 A000000151 00"}, "6A82"},
		{"SP 800-73-4 part 2 §3.1.1: nothing before it is selected", []string{holder}, "6985"},
		{"SP 800-73-4 part 2 §3.1.2: the holder's identifier has the GUID", []string{selectPIV, holder}, "3410AB01" + strings.Repeat("00", 14) + "350832303939313233313E00FE009000"},
		{"SP 800-73-4 part 2 §3.1.2: what the card has", []string{selectPIV, "00 CB 3F FF 05 5C035FC107 00"}, "FE009000"},
		{"SP 800-73-4 part 2 §3.1.2: how its passcode is used", []string{selectPIV, "00 CB 3F FF 03 5C017E 00"}, "5F2F0240009000"},
		{"SP 800-73-4 part 2 §3.1.2: an object that is not there", []string{selectPIV, "00 CB 3F FF 05 5C035FC10C 00"}, "6A82"},
		{"SP 800-73-4 part 2 §3.1.2: no object", []string{selectPIV, "00 CB 3F FF 05 5C045FC10C 00"}, "6A80"},
		{"SP 800-73-4 part 2 §3.2.1: the counter costs nothing", []string{selectPIV, tries, tries}, "63C3"},
		{"SP 800-73-4 part 2 §3.2.1: a wrong passcode counts", []string{selectPIV, wrong}, "63C2"},
		{"SP 800-73-4 part 2 §3.2.1: what is no passcode counts not", []string{selectPIV, "00 20 00 80 08 3132333435FFFFFF", tries}, "63C3"},
		{"SP 800-73-4 part 2 §3.2.1: three block", []string{selectPIV, wrong, wrong, wrong, right}, "6983"},
		{"SP 800-73-4 part 2 §3.2.1: the right one is remembered", []string{selectPIV, right, tries}, "9000"},
		{"SP 800-73-4 part 2 §3.2.1: and forgotten when asked to", []string{selectPIV, right, logOut, tries}, "63C3"},
		{"SP 800-73-4 part 2 §3.2.2: who shows the passcode may change it, and has shown it", []string{selectPIV, change, tries}, "9000"},
		{"SP 800-73-4 part 2 §3.2.2: then the old one is wrong", []string{selectPIV, change, right}, "63C2"},
		{"SP 800-73-4 part 2 §3.2.2: and the new one right", []string{selectPIV, change, "00 20 00 80 08 363534333231FFFF"}, "9000"},
		{"SP 800-73-4 part 2 §3.2.2: a wrong one counts", []string{selectPIV, changeWrong}, "63C2"},
		{"SP 800-73-4 part 2 §3.2.2: three block", []string{selectPIV, changeWrong, changeWrong, changeWrong, change}, "6983"},
		{"SP 800-73-4 part 2 §3.2.2: none that is no passcode comes in its place, and it costs no try", []string{selectPIV, "00 24 00 80 10 313131313131FFFF 3132333435FFFFFF", tries}, "63C3"},
		{"SP 800-73-4 part 2 §3.2.2: the PUK is changed likewise", []string{selectPIV, changePUK, unblock}, "63C2"},
		{"SP 800-73-4 part 2 §3.2.2: a PUK has eight digits", []string{selectPIV, "00 24 00 81 10 3132333435363738 313233343536FFFF"}, "6A80"},
		{"SP 800-73-4 part 2 §3.2.2: nothing else is changed", []string{selectPIV, "00 24 00 9B 10 313233343536FFFF 363534333231FFFF"}, "6A88"},
		{"SP 800-73-4 part 2 §3.2.3: the PUK unblocks, with a new passcode", []string{selectPIV, wrong, wrong, wrong, unblock, "00 20 00 80 08 363534333231FFFF"}, "9000"},
		{"SP 800-73-4 part 2 §3.2.3: with all its tries", []string{selectPIV, wrong, wrong, wrong, unblock, tries}, "63C3"},
		{"SP 800-73-4 part 2 §3.2.3: a wrong PUK counts", []string{selectPIV, unblockWrong}, "63C2"},
		{"SP 800-73-4 part 2 §3.2.3: three block the unblocking", []string{selectPIV, unblockWrong, unblockWrong, unblockWrong, unblock}, "6983"},
		{"SP 800-73-4 part 2 §3.2.3: nothing else is unblocked", []string{selectPIV, "00 2C 00 81 10 3132333435363738 363534333231FFFF"}, "6A88"},
		{"SP 800-73-4 part 2 §3.2.4: no signature without the passcode", []string{selectPIV, "00 87 11 9A 06 7C0482008100 00"}, "6982"},
		{"SP 800-73-4 part 2 §3.2.4: no other algorithm", []string{selectPIV, right, "00 87 14 9A 07 7C058200810101 00"}, "6A86"},
		{"SP 800-73-4 part 2 §3.2.4: no other key", []string{selectPIV, right, "00 87 11 9C 07 7C058200810101 00"}, "6A88"},
		{"SP 800-73-4 part 2 §3.2.4: no other template", []string{selectPIV, right, "00 87 11 9A 05 7C03810101 00"}, "6A80"},
		{"ISO 7816-4 §5.1: no extended lengths", []string{selectPIV, "00 CB 3F FF 00 0005 5C035FC102 0000"}, "6700"},
		{"ISO 7816-4 §5.1: no command", []string{"00 A4 04"}, "6700"},
		{"ISO 7816-4 §5.1: another class", []string{"80 A4 04 00"}, "6E00"},
		{"ISO 7816-4 §5.1: another instruction", []string{selectPIV, "00 26 00 80"}, "6D00"},
		{"ISO 7816-4 §5.1: no rest of no answer", []string{selectPIV, "00 C0 00 00 00"}, "6985"},
		{"ISO 7816-4 §5.1.1: a chain goes on", []string{selectPIV, "10 20 00 80 04 31323334", "00 20 00 80 04 3536FFFF"}, "9000"},
		{"ISO 7816-4 §5.1.1: another command ends it", []string{selectPIV, "10 20 00 80 04 31323334", "00 20 00 80 04 3536FFFF", logOut, "10 20 00 80 04 31323334", holder, "00 20 00 80 04 3536FFFF"}, "6A80"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			_, p := powered(t, virtualcard.P256, nil)
			if got := says(t, p, tt.commands...); !strings.HasSuffix(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	t.Run("ISO 7816-4 §5.1.1: a chain is bounded", func(t *testing.T) {
		_, p := powered(t, virtualcard.P256, nil)
		part, ended := "10 CB 3F FF FF "+strings.Repeat("00", 255), false
		for range 100 {
			ended = ended || says(t, p, part) == "6700"
		}
		if !ended {
			t.Error("it never ended")
		}
	})
	t.Run("own rule: a reset forgets the passcode, and the counter stays", func(t *testing.T) {
		_, p := powered(t, virtualcard.P256, nil)
		says(t, p, selectPIV, right)
		p.Reset()
		if got := says(t, p, selectPIV, tries); got != "63C3" {
			t.Errorf("after the right one %s", got)
		}
		says(t, p, wrong)
		p.Reset()
		if got := says(t, p, selectPIV, tries); got != "63C2" {
			t.Errorf("after a wrong one %s", got)
		}
	})
	t.Run("own rule: a card that was taken out knows its counters when it is put back", func(t *testing.T) {
		card, p := powered(t, virtualcard.P256, nil)
		says(t, p, selectPIV, wrong, unblockWrong)
		p = card.Power()
		if got := says(t, p, selectPIV, tries); got != "63C2" {
			t.Errorf("of the passcode %s", got)
		}
		if got := says(t, p, unblockWrong); got != "63C1" {
			t.Errorf("of the PUK %s", got)
		}
	})
}

func TestProfiles(t *testing.T) {
	version, serial := "00 FD 00 00 00", "00 F8 00 00 00"
	for _, tt := range []struct {
		rule     string
		profile  virtualcard.Profile
		commands []string
		want     string
	}{
		{"own rule: a plain card knows nothing of one maker's", virtualcard.Plain, []string{selectPIV, version}, "6D00"},
		{"own rule: a card of that maker says its version", virtualcard.Yubico, []string{selectPIV, version}, "0502049000"},
		{"own rule: and all it has to say, asked for or not", virtualcard.Yubico, []string{"00 A4 04 00 05 A000000308"}, "9000"},
		{"own rule: as a plain card does not", virtualcard.Plain, []string{"00 A4 04 00 05 A000000308"}, "6113"},
		{"own rule: and its number", virtualcard.Yubico, []string{selectPIV, serial}, "AB0100009000"},
		{"own rule: a card without contacts shows itself", virtualcard.Contactless, []string{selectPIV, holder}, "9000"},
		{"own rule: and takes no passcode", virtualcard.Contactless, []string{selectPIV, right}, "6982"},
		{"own rule: nor says how many tries there are", virtualcard.Contactless, []string{selectPIV, tries}, "6982"},
		{"own rule: nor changes it", virtualcard.Contactless, []string{selectPIV, change}, "6982"},
		{"own rule: nor unblocks it", virtualcard.Contactless, []string{selectPIV, unblock}, "6982"},
		{"own rule: a card of another kind has another name", virtualcard.Foreign, []string{selectPIV}, "6A82"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := aCard(t, func(c *virtualcard.Config) { c.Profile = tt.profile }).Power()
			if got := says(t, p, tt.commands...); !strings.HasSuffix(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestProcessT0(t *testing.T) {
	card, p := powered(t, virtualcard.P256, virtualcard.T0ATR())
	name := selectPIV[:len(selectPIV)-3]
	t.Run("ISO 7816-3 §12.2.1: T=0 gives no data to a command that brings data", func(t *testing.T) {
		if got := says(t, p, name); got != "6113" {
			t.Errorf("SELECT: %s", got)
		}
		if got := says(t, p, selectPIV); got != "6700" {
			t.Errorf("with a length of the answer: %s", got)
		}
	})
	t.Run("ISO 7816-3 §12.2.1: T=0 says the right length to who asks for another", func(t *testing.T) {
		if got := says(t, p, name, "00 C0 00 00 00"); got != "6C13" {
			t.Errorf("GET RESPONSE: %s", got)
		}
		if got := says(t, p, "00 C0 00 00 13"); !strings.HasSuffix(got, "9000") || len(got) != 2*(0x13+2) {
			t.Errorf("GET RESPONSE: %s", got)
		}
	})
	t.Run("ISO 7816-3 §12.2.1: T=0 gives a long answer in parts", func(t *testing.T) {
		var all []byte
		ask := "00 CB 3F FF 05 5C035FC105"
		for range 10 {
			got := says(t, p, ask)
			part, err := hex.DecodeString(got[:len(got)-4])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, part...)
			if got[len(got)-4:len(got)-2] != "61" {
				break
			}
			ask = "00 C0 00 00 " + got[len(got)-2:]
		}
		if !bytes.Contains(all, card.Certificate().Raw) {
			t.Errorf("the certificate is not in %X", all)
		}
	})
}

// template asks to sign, by a chain of commands.
func template(p *virtualcard.Powered, alg byte, block []byte) []byte {
	inner := []byte{0x82, 0x00, 0x81, byte(len(block))}
	outer := []byte{0x7C, byte(len(block) + 4)}
	if len(block) > 127 {
		inner = []byte{0x82, 0x00, 0x81, 0x82, byte(len(block) >> 8), byte(len(block))}
		outer = []byte{0x7C, 0x82, byte((len(block) + 6) >> 8), byte(len(block) + 6)}
	}
	data := slices.Concat(outer, inner, block)
	for len(data) > 255 {
		p.Process(slices.Concat([]byte{0x10, 0x87, alg, 0x9A, 0xFF}, data[:255]))
		data = data[255:]
	}
	answer := p.Process(slices.Concat([]byte{0, 0x87, alg, 0x9A, byte(len(data))}, data, []byte{0}))
	all := answer[:len(answer)-2]
	for answer[len(answer)-2] == 0x61 {
		answer = p.Process([]byte{0, 0xC0, 0, 0, answer[len(answer)-1]})
		all = append(all, answer[:len(answer)-2]...)
	}
	return all
}

func TestSignature(t *testing.T) {
	digest := sha256.Sum256([]byte("message"))
	t.Run("SP 800-73-4 part 2 §3.2.4: P-256 and P-384 sign", func(t *testing.T) {
		for kind, alg := range map[virtualcard.KeyType]byte{virtualcard.P256: 0x11, virtualcard.P384: 0x14} {
			card, p := powered(t, kind, nil)
			says(t, p, selectPIV, right)
			answer := template(p, alg, digest[:])
			key := card.Certificate().PublicKey.(*ecdsa.PublicKey) //nolint:forcetypeassert // it was made so
			if len(answer) < 4 || !ecdsa.VerifyASN1(key, digest[:], answer[4:]) {
				t.Errorf("%s: no signature in %X", kind, answer)
			}
		}
	})
	t.Run("SP 800-73-4 part 2 §3.2.4: RSA signs a block that was padded outside", func(t *testing.T) {
		card, p := powered(t, virtualcard.RSA2048, nil)
		says(t, p, selectPIV, right)
		key := card.Certificate().PublicKey.(*rsa.PublicKey) //nolint:forcetypeassert // it was made so
		prefix, _ := hex.DecodeString("3031300D060960864801650304020105000420")
		block := slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xFF}, 256-3-len(prefix)-32), []byte{0}, prefix, digest[:])
		answer := template(p, 0x07, block)
		if len(answer) < 8 || rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], answer[8:]) != nil {
			t.Errorf("no signature in %X", answer)
		}
		for _, block := range [][]byte{bytes.Repeat([]byte{0xFF}, 256), digest[:]} {
			if answer := template(p, 0x07, block); len(answer) != 0 {
				t.Errorf("signed %X", block)
			}
		}
	})
}

func TestInsert(t *testing.T) {
	card, _ := powered(t, virtualcard.P256, nil)
	t.Run("own rule: a reader asks for the answer to reset, and sends commands", func(t *testing.T) {
		reader, inside := net.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- card.Insert(context.Background(), inside) }()
		exchange := func(message []byte, answers bool) string {
			if _, err := reader.Write(append([]byte{0, byte(len(message))}, message...)); err != nil {
				t.Fatal(err)
			}
			if !answers {
				return ""
			}
			var head [2]byte
			if _, err := io.ReadFull(reader, head[:]); err != nil {
				t.Fatal(err)
			}
			body := make([]byte, head[1])
			if _, err := io.ReadFull(reader, body); err != nil {
				t.Fatal(err)
			}
			return strings.ToUpper(hex.EncodeToString(body))
		}
		if got := exchange([]byte{4}, true); got != card.ATR() {
			t.Errorf("answer to reset: %s", got)
		}
		exchange([]byte{1}, false)
		if got := exchange([]byte{0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8, 0}, true); !strings.HasSuffix(got, "9000") {
			t.Errorf("SELECT: %s", got)
		}
		exchange([]byte{2}, false)
		if got := exchange([]byte{0, 0x20, 0, 0x80}, true); got != "6985" {
			t.Errorf("after a reset: %s", got)
		}
		_ = reader.Close()
		if err := <-ended; err != nil {
			t.Errorf("Insert() = %v", err)
		}
	})
	t.Run("own rule: a card that is taken out is gone", func(t *testing.T) {
		reader, inside := net.Pipe()
		ctx, takeOut := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- card.Insert(ctx, inside) }()
		takeOut()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Insert() = %v", err)
		}
		if _, err := reader.Read(make([]byte, 1)); err == nil {
			t.Error("it still speaks")
		}
	})
}

func FuzzProcess(f *testing.F) {
	for _, seed := range []string{selectPIV, right, wrong, tries, holder, certificate, change, unblock, "00 87 11 9A 06 7C0482008100 00", "00 C0 00 00 00"} {
		raw, _ := hex.DecodeString(strings.ReplaceAll(seed, " ", ""))
		f.Add(raw, []byte{0, 0xC0, 0, 0, 0})
	}
	card1, _ := powered(f, virtualcard.P256, nil)
	card0, _ := powered(f, virtualcard.P256, virtualcard.T0ATR())
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, card := range []*virtualcard.Card{card1, card0} {
			p := card.Power()
			says(t, p, "00 A4 04 00 05 A000000308", right)
			for _, raw := range [][]byte{first, second, first} {
				if answer := p.Process(raw); len(answer) < 2 || len(answer) > 258 {
					t.Fatalf("%X answers %X", raw, answer)
				}
			}
		}
	})
}
