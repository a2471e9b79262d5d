package web

import "strings"

// Policy returns the Content-Security-Policy of our pages: no inline code, and
// nothing from anywhere else.
//
// Browsers also hold a form's redirects against form-action, so a page whose
// form ends at an application must name that application's origin, or the
// person is left on a dead button. CSP 3 §6.4.1.
func Policy(formTargets ...string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src 'self'",
		"connect-src 'self'",
		"form-action " + strings.Join(append([]string{"'self'"}, formTargets...), " "),
		"base-uri 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}
