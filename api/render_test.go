package api

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/lanyard-id/lanyard/web"
)

func TestRender(t *testing.T) {
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Site: site})
	t.Run("own rule: a page says how long it is", func(t *testing.T) {
		w := httptest.NewRecorder()
		if err := s.render(w, http.StatusTeapot, "home", web.Home{}); err != nil {
			t.Fatal(err)
		}
		if got, want := w.Header().Get("Content-Length"), strconv.Itoa(w.Body.Len()); w.Code != http.StatusTeapot || got != want || got == "0" {
			t.Errorf("status %d, length %s of %s", w.Code, got, want)
		}
	})
	t.Run("own rule: of a page that cannot be made nothing is told", func(t *testing.T) {
		w := httptest.NewRecorder()
		if err := s.render(w, http.StatusTeapot, "ways", web.Home{}); err == nil || len(w.Header()) > 0 || w.Body.Len() > 0 {
			t.Errorf("%v: %v %s", err, w.Header(), w.Body)
		}
	})
}
