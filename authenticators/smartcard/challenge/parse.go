package challenge

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Message is a message that was read and is well formed. Nothing in it may be
// believed before Verify.
type Message struct {
	signed
	Payload Payload
}

// signed is the part that all messages have alike.
type signed struct {
	Header Header

	payload   []byte // as it came
	input     []byte // what was signed: header and payload as they came
	signature []byte
}

// Parse reads a message of at most MaxSize bytes. It is strict, because what
// was signed must mean one thing only: three parts in canonical base64url, every
// member there once and spelt exactly, of the right type and form, no
// other member and nothing behind. Everything else is ErrMalformed.
func Parse(jws []byte) (Message, error) {
	s, err := readSigned(jws, Type)
	if err != nil {
		return Message{}, err
	}
	p, err := readPayload(s.payload)
	if err != nil {
		return Message{}, err
	}
	return Message{signed: s, Payload: p}, nil
}

// readSigned reads all of a message of that type but what it says.
func readSigned(jws []byte, typ string) (signed, error) {
	if len(jws) > MaxSize {
		return signed{}, malformed("too long")
	}
	parts := bytes.Split(jws, []byte("."))
	if len(parts) != 3 {
		return signed{}, malformed("not three parts")
	}
	header, ok1 := decode(string(parts[0]))
	payload, ok2 := decode(string(parts[1]))
	signature, ok3 := decode(string(parts[2]))
	if !ok1 || !ok2 || !ok3 || len(signature) == 0 {
		return signed{}, malformed("base64url")
	}
	h, err := readHeader(header, typ)
	if err != nil {
		return signed{}, err
	}
	input := jws[:len(parts[0])+1+len(parts[1])]
	return signed{Header: h, payload: payload, input: bytes.Clone(input), signature: signature}, nil
}

func readHeader(raw []byte, typ string) (Header, error) {
	o := readObject(raw, "the header")
	h := Header{
		Alg:         Alg(o.text("alg")),
		Type:        o.text("typ"),
		Certificate: o.text("x5t#S256"),
	}
	if err := o.end(); err != nil {
		return Header{}, err
	}
	return h, h.check(typ)
}

func readPayload(raw []byte) (Payload, error) {
	o := readObject(raw, "the payload")
	p := Payload{
		Version:     o.integer("v"),
		Act:         o.text("act"),
		Issuer:      o.text("iss"),
		Origin:      o.text("origin"),
		ClientID:    o.text("client_id"),
		Transaction: o.text("tx"),
		ServerNonce: o.text("sn"),
		ClientNonce: o.text("cn"),
		Browser:     o.text("bsh"),
		AgentKey:    o.text("epk"),
		IssuedAt:    o.integer("iat"),
		Expires:     o.integer("exp"),
		Reader:      o.text("reader"),
		PIN:         o.text("pin"),
	}
	agent := readObject(o.take("agent"), "agent")
	p.Agent = Agent{Name: agent.text("name"), Version: agent.text("version"), OS: agent.text("os")}
	card := readObject(o.take("card"), "card")
	p.Card = Card{GUID: card.text("guid"), ATR: card.text("atr"), Serial: card.text("cert_sn")}
	if card.has("series") {
		p.Card.Series = card.integer("series")
	}

	for _, part := range []*object{o, agent, card} {
		if err := part.end(); err != nil {
			return Payload{}, err
		}
	}
	return p, p.check()
}

// object is a JSON object whose members are taken one by one. It keeps the
// first thing that was wrong, and end tells it.
type object struct {
	name    string
	members map[string][]byte
	err     error
}

func readObject(raw []byte, name string) *object {
	o := &object{name: name}
	if !json.Valid(raw) {
		o.fail("is not JSON")
		return o
	}
	var err error
	if o.members, err = Members(raw); err != nil {
		o.fail("is " + err.Error())
	}
	return o
}

func (o *object) fail(what string) {
	if o.err == nil {
		o.err = malformed(o.name + " " + what)
	}
}

func (o *object) has(member string) bool {
	_, ok := o.members[member]
	return ok
}

func (o *object) take(member string) []byte {
	v, ok := o.members[member]
	if !ok {
		o.fail("lacks " + member)
	}
	delete(o.members, member)
	return v
}

func (o *object) text(member string) string {
	raw, s := o.take(member), ""
	if len(raw) < 2 || raw[0] != '"' { // null would pass for an empty text
		o.fail("has no text in " + member)
		return ""
	}
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]) // it stands for itself
	}
	if json.Unmarshal(raw, &s) != nil {
		o.fail("has no text in " + member)
	}
	return s
}

// integer takes digits only: a fraction, an exponent and a sign are ways to
// write one number differently.
func (o *object) integer(member string) int64 {
	raw := o.take(member)
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(raw) {
		o.fail("has no integer in " + member)
	}
	return n
}

// end returns what was wrong, or that a member was left over.
func (o *object) end() error {
	if o.err == nil && len(o.members) > 0 {
		o.fail("has an unknown member")
	}
	return o.err
}
