# What can be done here. `make` alone lists it; each line's words are the
# comment after its target.

GO   ?= go
ARGS ?=

# Tools are pinned here and run from the module cache: nothing to install, and
# everybody gets the same answer.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.8.0
NFPM          := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4

FRONT_END := web/static/vendor/NOTICE.txt
INSTALLED := web/node_modules/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # what the tests need comes before the tests

.PHONY: help
help: ## list these
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(FRONT_END) ## start the development service; ARGS="--layout cis2" and the like reach it
	@$(GO) build -o bin/lanyard ./cmd/lanyard
	@exec bin/lanyard dev $(ARGS)

.PHONY: build
build: $(FRONT_END) ## build the programs into bin/
	$(GO) build -trimpath -o bin/ ./cmd/lanyard ./cmd/lanyard-bench
	CGO_ENABLED=0 $(GO) build $(AGENT) -o bin/ ./cmd/lanyard-agent

# The agent lies on every desk, so it goes without what only a debugger reads:
# a third of it. A panic still names files and lines. It needs no C.
AGENT   := -trimpath -ldflags "-s -w"
ARCH    ?= $(shell $(GO) env GOARCH)
VERSION := $(shell sed -n 's/^const version = "\(.*\)"$$/\1/p' cmd/lanyard-agent/main.go)

.PHONY: deb
deb: ## build the Debian package of the agent into bin/; ARCH=arm64 for other desks
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build $(AGENT) -o bin/deb/lanyard-agent ./cmd/lanyard-agent
	deploy/agent/copyright.sh >bin/deb/copyright
	ARCH=$(ARCH) VERSION=$(VERSION) SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) \
	  $(GO) run $(NFPM) package --config deploy/agent/nfpm.yaml --packager deb --target bin/

.PHONY: test-deb
test-deb: deb ## install, use, upgrade and purge that package, in a file system of its own
	deploy/agent/try.sh bin/lanyard-agent_$(VERSION)*_$(ARCH).deb

.PHONY: web
web: $(FRONT_END) ## make the front end ready, so that `go build` includes it

# What the tests need is not what their runs need: see deploy/check/needs.sh.
.PHONY: test
test: needs vet test-go test-faults test-pkcs11 test-witness test-fuzz test-web first-token ## run every test, after installing what they need

.PHONY: needs
needs: ## install what the tests need and this machine lacks (Debian, Ubuntu)
	@deploy/check/needs.sh

.PHONY: vet
vet: $(FRONT_END)
	$(GO) vet ./...

.PHONY: test-go
test-go: $(FRONT_END) ## run the Go tests
	$(GO) test -timeout 16m $$($(GO) list ./... | grep -v /cmd/lanyard-bench)

# Twice as long as without it, so it is for a release.
.PHONY: test-race
test-race: $(FRONT_END) ## run the Go tests with the race detector
	$(GO) test -race -timeout 25m $$($(GO) list ./... | grep -v /cmd/lanyard-bench)

.PHONY: test-cross
test-cross: build ## build the agent for the other systems that desks have
	@GO="$(GO)" deploy/check/cross.sh

.PHONY: test-wine
test-wine: $(FRONT_END) ## run the agent for Windows, where Wine is; says so in a line where it is not
	@GO="$(GO)" deploy/check/wine.sh

# By themselves: what has to hold in a second holds on a machine that is not
# kept busy by other tests.
.PHONY: test-faults
test-faults: $(FRONT_END) ## break the service in every way, with the short numbers (docs/faults.md)
	$(GO) test -timeout 8m ./cmd/lanyard-bench

# A server that knows no tokens needs no C, and so runs on any Linux.
.PHONY: test-pkcs11
test-pkcs11: $(FRONT_END) ## run the tests of keys in a PKCS#11 token; see that the server needs no C without one
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/lanyard
	CGO_ENABLED=1 $(GO) vet -tags pkcs11 ./store/vault/... ./cmd/lanyard
	CGO_ENABLED=1 $(GO) test -tags pkcs11 ./store/vault/...

# That library is built against PC/SC in C, as nothing of ours is.
.PHONY: test-witness
test-witness: $(FRONT_END) ## have another library for PIV cards use the virtual card
	@if pkg-config --exists libpcsclite; then CGO_ENABLED=1 $(GO) test -tags witness -run PivGo ./cmd/lanyard-agent/internal/card; \
	else echo "piv-go does not look at the virtual card: libpcsclite-dev is not installed"; fi

.PHONY: test-fuzz
test-fuzz: $(FRONT_END) ## give every parser of outside bytes some thousand inputs
	@GO="$(GO)" deploy/check/fuzz.sh

.PHONY: test-web
test-web: build ## run the tests in web/tests against bin/lanyard
	node --test --test-reporter=spec --test-concurrency=2 --test-timeout=600000 web/tests/*.test.mjs

.PHONY: first-token
first-token: build ## follow the documentation to a first token, in a fresh clone
	@deploy/check/first-token.sh

# The server under test is the one that was just built.
.PHONY: faults
faults: needs build ## break things under load, with the full numbers (docs/faults.md); ARGS="--only F4,F5"
	bin/lanyard-bench faults --source . $(ARGS)

.PHONY: bench
bench: needs build ## measure what operations cost, against their budgets; ARGS=--json
	@bin/lanyard-bench measure $(ARGS)

.PHONY: journey
journey: needs build $(INSTALLED) ## the registration authority's day in a browser, on a million people and two servers; ARGS="--pictures DIR"
	@bin/lanyard-bench journey $(ARGS)

.PHONY: check
check: format lint versions vulnerabilities test test-race test-cross test-wine test-deb ## run what must pass before a release

.PHONY: format
format:
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './web/node_modules/*')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi

.PHONY: lint
lint: $(FRONT_END) ## run the linters of .golangci.yml
	$(GO) run $(GOLANGCI_LINT) run ./...

.PHONY: versions
versions: ## hold the modules in use against deploy/check/versions.txt
	@deploy/check/versions.sh

.PHONY: vulnerabilities
vulnerabilities: $(FRONT_END)
	@deploy/check/vulnerabilities.sh $(GOVULNCHECK)

.PHONY: clean
clean: ## remove what was built and downloaded
	rm -rf bin web/node_modules
	find web/static/vendor -mindepth 1 ! -name .keep -delete

# npm ci removes the folder first, so an install that broke off leaves no stamp.
$(INSTALLED): web/package.json web/package-lock.json
	npm ci --prefix web --no-audit --no-fund --ignore-scripts
	@touch $@

# build.mjs writes this file last.
$(FRONT_END): $(INSTALLED) web/build.mjs
	node web/build.mjs
