package virtualcard

// Instructions of one maker's keys, which its programs use without asking
// whether the card is one.
const (
	insSerial  = 0xF8
	insVersion = 0xFD
)

// extra answers what SP 800-73-4 does not know.
func (p *Powered) extra(c command) ([]byte, int) {
	switch {
	case p.card.is.Profile != Yubico:
	case c.ins == insVersion:
		return []byte{5, 2, 4}, swOK // the last that says nothing about its keys
	case c.ins == insSerial:
		return p.card.is.GUID[:4], swOK
	}
	return nil, swNoInstruction
}
