package main

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// form is a form of a page, as a browser reads it.
type form struct {
	action, method string
	fields         url.Values          // hidden ones
	choices        map[string][]string // of radio buttons, by their name
	puzzle, bits   string              // to be solved before it is sent; empty: none
}

// forms reads the forms of a page.
func forms(page []byte) []form {
	var all []form
	inForm := false
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return all
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "form" {
				inForm = false
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			switch {
			case string(name) == "form":
				attrs := attributes(z, more)
				all = append(all, form{action: attrs["action"], method: attrs["method"], fields: url.Values{}, choices: map[string][]string{},
					puzzle: attrs["data-lanyard-puzzle"], bits: attrs["data-lanyard-bits"]})
				inForm = true
			case string(name) == "input" && inForm:
				attrs := attributes(z, more)
				f := all[len(all)-1]
				switch attrs["type"] {
				case "hidden":
					f.fields.Set(attrs["name"], attrs["value"])
				case "radio":
					f.choices[attrs["name"]] = append(f.choices[attrs["name"]], attrs["value"])
				}
			}
		default:
		}
	}
}

func attributes(z *html.Tokenizer, more bool) map[string]string {
	attrs := map[string]string{}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		attrs[string(key)] = string(value)
	}
	return attrs
}

// formTo returns the form of a page that is posted to action.
func formTo(page []byte, action string) (form, error) {
	for _, f := range forms(page) {
		if f.action == action && strings.EqualFold(f.method, "post") {
			return f, nil
		}
	}
	return form{}, fmt.Errorf("no form to %s on the page that says %q", action, said(page))
}

// link returns the address of the first link that begins with prefix, or "".
func link(page []byte, prefix string) string {
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return ""
		case html.StartTagToken:
			name, more := z.TagName()
			if string(name) != "a" {
				continue
			}
			if href := attributes(z, more)["href"]; strings.HasPrefix(href, prefix) {
				return href
			}
		default:
		}
	}
}

// textOf returns the text of the element with that id, or "".
func textOf(page []byte, id string) string {
	inside := false
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch kind := z.Next(); {
		case kind == html.ErrorToken:
			return ""
		case kind == html.TextToken && inside:
			return string(z.Text())
		case kind == html.StartTagToken:
			_, more := z.TagName()
			inside = attributes(z, more)["id"] == id
		}
	}
}

// said is the beginning of what a page says, for a report: its title and its
// words, without anything that a form carries.
func said(page []byte) string {
	var b strings.Builder
	for z := html.NewTokenizer(bytes.NewReader(page)); b.Len() < 200; {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		if kind == html.TextToken {
			if words := strings.Join(strings.Fields(string(z.Text())), " "); words != "" {
				b.WriteString(words + " ")
			}
		}
	}
	return strings.TrimSpace(b.String())
}
