package main

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	rules "github.com/lanyard-id/lanyard/idp/registry"
)

// sends sends a form with a file as a browser does.
func (w *facesWorld) sends(t *testing.T, a facesActor, path string, fields map[string]string, file string, content []byte) *httptest.ResponseRecorder {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := form.CreateFormFile(file, "card.csr")
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, &body)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.AddCookie(&http.Cookie{Name: "lanyard-session", Value: a.cookie})
	return w.serve(req)
}

// hiddenIn are the hidden fields of a page.
func hiddenIn(page string) url.Values {
	values := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(page, -1) {
		values.Add(m[1], strings.NewReplacer("&#43;", "+", "&#xA;", "\n", "&#34;", `"`).Replace(m[2]))
	}
	return values
}

func TestUploadedRequest(t *testing.T) {
	t.Parallel()
	w := newFacesWorld(t)
	agent, uid := w.holderOf(rules.Agent, "MID"), w.others[somebody]
	path := "/ra/change/" + string(rules.CertificateIssued) + "?uid=" + uid
	problem := regexp.MustCompile(`id="f-csr-error"`)
	t.Run("own rule: the request of a card comes as a file, and is judged like one that is typed", func(t *testing.T) {
		for what, content := range map[string][]byte{
			"no request": []byte("please"), "no text": {0x30, 0x82, 0xFF, 0xFE}, "too long": bytes.Repeat([]byte("A"), 17<<10),
			"a private key": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		} {
			got := w.sends(t, agent, path, map[string]string{"series": "9"}, "csr_file", content)
			if got.Code != http.StatusUnprocessableEntity || !problem.MatchString(got.Body.String()) || strings.Contains(got.Body.String(), "name=\"token\"") {
				t.Errorf("%s: %d\n%s", what, got.Code, got.Body)
			}
		}
		typed := w.sends(t, agent, path, map[string]string{"series": "9", "csr": w.csr}, "csr_file", nil)
		if typed.Code != http.StatusOK {
			t.Errorf("typed beside an empty file: %d", typed.Code)
		}
	})
	t.Run("own rule: a file counts, is shown before anything is done, and becomes a card", func(t *testing.T) {
		shown := w.sends(t, agent, path, map[string]string{"series": "9", "csr": "what was typed before"}, "csr_file", []byte(strings.ReplaceAll(w.csr, "\n", "\r\n")))
		if shown.Code != http.StatusOK || strings.Contains(shown.Body.String(), "typed before") {
			t.Fatalf("%d\n%s", shown.Code, shown.Body)
		}
		hidden := hiddenIn(shown.Body.String())
		if strings.TrimSpace(hidden.Get("csr")) != strings.TrimSpace(w.csr) {
			t.Errorf("shown is %q", hidden.Get("csr"))
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, strings.Replace(path, "?", "/do?", 1), strings.NewReader(hidden.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.AddCookie(&http.Cookie{Name: "lanyard-session", Value: agent.cookie})
		if got := w.serve(req); got.Code != http.StatusSeeOther {
			t.Fatalf("%d\n%s", got.Code, got.Body)
		}
		r, err := w.people.Records(t.Context(), rules.Touch{People: []string{uid}})
		if err != nil || len(r.People[uid].Cards) != 3 || r.People[uid].Issued[r.People[uid].Cards[2].Serial].Certificate == nil {
			t.Errorf("cards: %+v, %v", r.People[uid].Cards, err)
		}
	})
}
