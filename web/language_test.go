package web

import (
	"fmt"
	"strings"
	"testing"
)

func TestLanguage(t *testing.T) {
	s := newSite(t)
	for range 2 { // the second time from memory
		for _, tt := range []struct {
			want   string
			wishes []string
		}{
			{english, nil},
			{english, []string{"", "", ""}},
			{"cy", []string{"", "", "cy-GB,cy;q=0.9,en;q=0.8"}},
			{english, []string{"", "", "fr,en-GB;q=0.9,cy;q=0.8"}},
			{"cy", []string{"de", "cy", "en"}},
			{english, []string{"en", "cy"}},
			{"cy", []string{"not a tag!", "cy"}},
			{english, []string{"de-AT,fr;q=0.5"}},
		} {
			if got := s.Language(tt.wishes...); got != tt.want {
				t.Errorf("Language(%q) = %s, want %s", tt.wishes, got, tt.want)
			}
		}
	}
}

// What strangers wish for takes up no more than so much.
func TestWishesAreForgotten(t *testing.T) {
	s := newSite(t)
	for n := range 2 * maxFits {
		s.Language(fmt.Sprintf("x-%d,cy", n))
	}
	if n := len(s.fits.known); n == 0 || n > maxFits {
		t.Errorf("%d wishes are kept", n)
	}
	if got := s.Language(strings.Repeat("en,", maxWish) + "cy"); got != english {
		t.Errorf("a long wish comes to %s", got)
	}
	for wish := range s.fits.known {
		if len(wish) > maxWish {
			t.Errorf("a wish of %d characters is kept", len(wish))
		}
	}
}
