// Package idp holds the rules: who may sign in where, how surely, in which
// role, and what the client learns. No HTTP, no SQL, no OIDC library.
//
// One login, straight down:
//
//	1  GET authorize                idp/provider/authorize.go  asks client.go, acr.go; flow.go Begin
//	2  GET /login                   api/login.go               asks flow.go Find, login.go Next
//	3  POST /login/{way}/...        api/authenticate.go        a room of authenticators gives Evidence
//	4  (same request)               api/authenticate.go        signin.go SignIn makes the session
//	5  GET, POST /login/role        api/role.go                flow.go ChooseRole, role.go
//	6  (same request)               idp/provider/authorize.go  flow.go Finish makes the code
//	7  POST token                   idp/provider/token.go      tokens.go Redeem, claims.go
//	8  GET userinfo                 idp/provider/userinfo.go   tokens.go Holder, claims.go
//
// After every step Next alone says where the browser goes: pages never route to
// each other, and who must sign in returns to GET /login. The rules that come from a
// specification are listed in SPEC.md, each with the test that keeps it.
package idp
