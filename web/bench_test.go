package web

import "testing"

// BenchmarkRender renders the pages of a sign-in with a smartcard, as people
// in production see them.
func BenchmarkRender(b *testing.B) {
	s, err := New()
	if err != nil {
		b.Fatal(err)
	}
	page := Page{Lang: english, Here: "/login?id=l0g1n", RequestID: "7F3K9QPD2M1X8C4V7F3K9QPD2M", Application: "Riverside"}
	for _, sm := range []sample{
		{"ways", "ways", Ways{Page: page, LoginID: "l0g1n", Ways: sampleWays()[:1]}},
		{"smartcard", "smartcard", Smartcard{Page: page, LoginID: "l0g1n", Transaction: "tx", DisplayCode: "4821", Start: StartAgent("handle", "id.example"), Now: Message{Text: s.Text(english, "desk.open")}}},
		{"smartcard-signed", "smartcard-signed", SmartcardSigned{Page: page, Transaction: "tx", Action: "http://127.0.0.1:40000/v1/done"}},
		{"role", "role", Role{Page: page, LoginID: "l0g1n", Roles: sampleRoles(5)}},
	} {
		b.Run(sm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Render(english, sm.page, sm.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLanguage(b *testing.B) {
	s, err := New()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Language("", "", "cy-GB,cy;q=0.9,en;q=0.8")
	}
}
