# make run and make test are all that is needed on a Debian machine with Go,
# Node, make and root; make help tells the rest.
SHELL   := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
DATA    := azekura-data
LISTEN  := 127.0.0.1:4584
FUZZTIME := 10s

# make build TAGS=pkcs11 is a server that can ask an HSM. It takes a C compiler,
# and runs only where the C library it was linked with is.
TAGS :=
# The version of Go's cryptographic module that builds and tests take, and which
# turns FIPS 140-3 mode on: the one that has a certificate. docs/security.md
# tells what that means; make build GOFIPS140=off leaves it out.
export GOFIPS140 ?= v1.0.0

export CGO_ENABLED ?= $(if $(findstring pkcs11,$(TAGS)),1,0)

.PHONY: help build run test install lint check fuzz bench generate clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

build: ## the server, as bin/azekura; TAGS=pkcs11 with the seal for HSMs
	@go build -trimpath -tags '$(TAGS)' -ldflags '-s -w -X main.version=$(VERSION)' -o bin/azekura ./cmd/azekura

run: build ## a durable server on http://127.0.0.1:4584
	@exec bin/azekura server --data-dir $(DATA) --listen $(LISTEN)

test: install lint ## the whole test suite, with real clients; installs what it needs
	@test/run

install: ## what the tests need: Debian packages, Python, JavaScript and Java libraries
	@test/install

lint:
	@unformatted=$$(gofmt -l cmd internal test) || exit 1; test -z "$$unformatted" || { echo "run gofmt on: $$unformatted"; exit 1; }
	@go vet ./...
	@CGO_ENABLED=1 go vet -tags pkcs11 ./internal/seal
	@go vet -C test/clients/go ./...

fuzz: ## each fuzz target for FUZZTIME; CI runs a minute each, and brief ones less
	@test/fuzz $(FUZZTIME)

bench: build ## measures speed, size and memory for 20 minutes and writes docs/performance.md
	@mkdir -p .cache && go build -o .cache ./test/bench ./test/bench/floor && .cache/bench

generate: ## the API's shapes again, from the public service model
	@go generate ./internal/api

clean: ## what was built and installed here; never the data
	@rm -rf bin .cache test/clients/java/target test/clients/js/node_modules
