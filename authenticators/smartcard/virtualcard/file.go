package virtualcard

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// file is a card as it stands in a file: for development, since whoever reads
// it has the card and its passcode.
type file struct {
	Card        string `json:"card"` // fileVersion
	Key         []byte `json:"key"`  // PKCS #8
	Certificate []byte `json:"certificate"`
	GUID        []byte `json:"guid"`
	Passcode    string `json:"passcode"`
	PUK         string `json:"puk"`
	TriesLeft   int    `json:"tries_left"`
	PUKTries    *int   `json:"puk_tries_left,omitempty"` // none: all

	// What else a reader meets; a card has none of it.
	ATR     string  `json:"atr,omitempty"` // hex
	Profile Profile `json:"profile,omitempty"`
}

// fileVersion says what kind of file it is.
const fileVersion = "lanyard virtual card 1"

// Write returns what Read makes the card of again.
func Write(c Config) ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, errors.New("write card: its key cannot be written")
	}
	atr := ""
	if !slices.Equal(c.ATR, DefaultATR()) {
		atr = hex.EncodeToString(c.ATR)
	}
	return json.MarshalIndent(file{Card: fileVersion, Key: key, Certificate: c.Certificate.Raw, GUID: c.GUID[:],
		Passcode: c.Passcode, PUK: c.PUK, TriesLeft: *copied(c.TriesLeft), PUKTries: c.PUKTries, ATR: atr, Profile: c.Profile}, "", "  ")
}

// Read returns the card that Write wrote. save is given the file anew when the
// card counts its tries or gets another passcode: what cannot be kept happens all
// the same.
func Read(raw []byte, save func([]byte) error) (*Card, error) {
	var f file
	if err := json.Unmarshal(raw, &f); err != nil || f.Card != fileVersion || len(f.GUID) != 16 {
		return nil, errors.New("it is no card file") // the decoder's text would repeat what is in it
	}
	parsed, err := x509.ParsePKCS8PrivateKey(f.Key)
	key, ok := parsed.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("its key cannot be read")
	}
	certificate, err := x509.ParseCertificate(f.Certificate)
	if err != nil {
		return nil, errors.New("its certificate cannot be read")
	}
	atr, err := hex.DecodeString(f.ATR)
	if err != nil {
		return nil, errors.New("its answer to reset cannot be read")
	}
	if f.ATR == "" {
		atr = nil
	}
	c := Config{Key: key, Certificate: certificate, GUID: [16]byte(f.GUID), Passcode: f.Passcode, PUK: f.PUK, TriesLeft: &f.TriesLeft, PUKTries: f.PUKTries, ATR: atr, Profile: f.Profile}
	c.OnChange = func(is Config) {
		if changed, err := Write(is); err == nil {
			_ = save(changed)
		}
	}
	card, err := New(c)
	if err != nil {
		return nil, fmt.Errorf("read card: %w", err)
	}
	return card, nil
}
