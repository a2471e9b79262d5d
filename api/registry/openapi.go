package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// document is the OpenAPI document of a table of routes.
func document(table []route) []byte {
	b := &schemas{named: map[string]schema{}, types: map[string]reflect.Type{}}
	paths, tags := schema{}, []schema{}
	seen := map[string]bool{}
	for _, rt := range table {
		at, _ := paths[rt.path].(schema)
		if at == nil {
			at = schema{}
			paths[rt.path] = at
		}
		at[strings.ToLower(rt.method)] = b.operation(rt)
		if !seen[rt.tag] {
			seen[rt.tag] = true
			tags = append(tags, schema{"name": rt.tag, "description": parts[rt.tag]})
		}
	}
	b.refer(reflect.TypeFor[api.Problem](), "Problem", answered, nil)
	whole := schema{
		"openapi": "3.1.0",
		"info": schema{"title": "Lanyard administration", "version": "1", "license": schema{"name": "Apache License 2.0", "identifier": "Apache-2.0"},
			"description": "The registration authority for programs. Who may make which change is the same here as on the pages: GET /permissions. " +
				"Every change can be tried with ?check=true, which makes nothing."},
		"servers":  []schema{{"url": Root}},
		"security": []schema{{"token": []string{}}},
		"tags":     tags,
		"paths":    paths,
		"components": schema{
			"schemas":         b.named,
			"parameters":      queries(),
			"responses":       refusals(),
			"securitySchemes": schema{"token": schema{"type": "http", "scheme": "bearer", "description": "An access token of the client " + idp.AdminClient + ": lanyard login."}},
		},
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(whole); err != nil {
		panic(err) // maps of text and numbers
	}
	return text.Bytes()
}

// queries are the parameters of queries, and those that many routes have.
func queries() schema {
	all := schema{}
	for name, p := range params {
		all[name] = schema{"name": name, "in": "query", "description": p.does, "schema": p.schema}
	}
	all[repeatHeader] = schema{"name": repeatHeader, "in": "header", "schema": schema{"type": "string", "minLength": 1, "maxLength": maxText},
		"description": "Names the request, best by chance. One that comes again with the same name, from the same person, within twelve hours, is not done again: it is " +
			"answered with what was answered before. With another address or body it is refused with 422, and with 409 while the first is in hand. " +
			"What was refused is not kept. The name may stand in quotation marks, as a string of RFC 9651."}
	return all
}

// no are the refusals that a route may answer with, by their status.
var no = map[int]string{
	http.StatusBadRequest:            "What was sent cannot be read.",
	http.StatusUnauthorized:          "There is no token, or it is worth nothing any more.",
	http.StatusForbidden:             "The caller may not do that.",
	http.StatusNotFound:              "There is no such thing.",
	http.StatusConflict:              "Things are not as they must be for that, or it has to be confirmed.",
	http.StatusPreconditionFailed:    "It was changed since it was read.",
	http.StatusRequestEntityTooLarge: "The body is too big.",
	http.StatusUnsupportedMediaType:  "The body must be application/json.",
	http.StatusUnprocessableEntity:   "Something that was sent is not as it should be: fields says what.",
	http.StatusTooManyRequests:       "There were too many requests.",
	http.StatusInternalServerError:   "The fault is the service's.",
	http.StatusServiceUnavailable:    "Something that the service needs does not answer.",
}

// refusals are the answers of those statuses.
func refusals() schema {
	all := schema{}
	for status, does := range no {
		all["No"+strconv.Itoa(status)] = schema{"description": does,
			"content": schema{"application/problem+json": schema{"schema": schema{"$ref": "#/components/schemas/Problem"}}}}
	}
	return all
}

// operation describes a route.
func (b *schemas) operation(rt route) schema {
	op := schema{"operationId": rt.id, "summary": rt.does, "tags": []string{rt.tag}, "responses": b.responses(rt)}
	var all []schema
	for _, name := range rt.of() {
		all = append(all, schema{"name": name, "in": "path", "required": true, "schema": b.inPath(rt, name)})
	}
	for _, name := range rt.query {
		all = append(all, schema{"$ref": "#/components/parameters/" + name})
	}
	if rt.tagged && rt.body != nil {
		all = append(all, schema{"name": "If-Match", "in": "header", "description": "The ETag of the person: nothing is changed where they have another by now.", "schema": schema{"type": "string"}})
	}
	if rt.once() {
		all = append(all, schema{"$ref": "#/components/parameters/" + repeatHeader})
	}
	if len(all) > 0 {
		op["parameters"] = all
	}
	if rt.body != nil {
		op["requestBody"] = schema{"required": true, "content": b.body(rt)}
	}
	return op
}

// inPath is the schema of a parameter of the path: that of the member that it
// is.
func (b *schemas) inPath(rt route, name string) schema {
	if name == "name" {
		return schema{"type": "string", "enum": words[reflect.TypeFor[registry.List]()]}
	}
	of := schema{"type": "string"}
	if name == "series" {
		of = schema{"type": "integer"}
	}
	if rt.body != nil {
		maps.Copy(of, asked[rt.member(name)])
	} else {
		maps.Copy(of, asked[name])
	}
	return of
}

// body describes what a route reads.
func (b *schemas) body(rt route) schema {
	t, m, name := reflect.TypeOf(rt.body), sent, ""
	name = t.Name()
	if rt.patch {
		m = patched
	}
	if _, ok := rt.body.(registry.Change); !ok || rt.patch {
		name += string(m)
	}
	var skip []string
	for _, p := range rt.of() {
		skip = append(skip, rt.member(p))
	}
	of := b.refer(t, name, m, skip)
	content := schema{"application/json": schema{"schema": of}}
	if rt.patch {
		content["application/merge-patch+json"] = schema{"schema": of}
	}
	return content
}

// responses describes what a route answers.
func (b *schemas) responses(rt route) schema {
	all := schema{}
	for _, status := range rt.refuses() {
		all[strconv.Itoa(status)] = schema{"$ref": fmt.Sprintf("#/components/responses/No%d", status)}
	}
	t := reflect.TypeOf(rt.answer)
	is := b.refer(t, t.Name(), answered, nil)
	if !rt.change || t == reflect.TypeFor[registry.Preview]() {
		all["200"] = b.yes(rt, "It is so.", is)
		return all
	}
	preview := b.of(reflect.TypeFor[registry.Preview](), answered)
	if rt.made {
		all["200"] = b.yes(rt, "What would be done, with ?check=true.", preview)
		all["201"] = b.yes(rt, "It is done.", is)
	} else {
		all["200"] = b.yes(rt, "It is done; with ?check=true, what would be.", schema{"anyOf": []schema{is, preview}})
	}
	all["202"] = b.yes(rt, "It waits for a second person.", is)
	return all
}

func (b *schemas) yes(rt route, does string, of schema) schema {
	content := schema{"application/json": schema{"schema": of}}
	if rt.csv {
		content["text/csv"] = schema{"schema": schema{"type": "string"}}
	}
	if rt.yaml {
		content["application/yaml"] = schema{"schema": schema{"type": "object"}}
	}
	answer := schema{"description": does, "content": content}
	if rt.tagged && rt.body == nil {
		answer["headers"] = schema{"ETag": schema{"description": "The version, for If-Match.", "schema": schema{"type": "string"}}}
	}
	if rt.place != "" && rt.made && strings.HasPrefix(does, "It is done") {
		answer["headers"] = schema{"Location": schema{"description": "Where it is found.", "schema": schema{"type": "string"}}}
	}
	return answer
}

// refuses are the statuses with which a route may refuse.
func (rt route) refuses() []int {
	all := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusNotFound}
	if rt.body != nil {
		all = append(all, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	if rt.tagged && rt.body != nil {
		all = append(all, http.StatusPreconditionFailed)
	}
	return all
}
