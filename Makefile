# Mayfly. `make` lists what there is to do. Needs GNU make, Go, Node 20 or newer; `make setup` sees to the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail
.DELETE_ON_ERROR:

CONTRACTS ?= contracts
CDK_ARGS  ?=
FUZZTIME  ?= 10s
FLEET     ?= 10000
BENCH_ARGS ?=

# A VPC to synthesize with, for the checks: its ids mean nothing.
VPC := {"id":"vpc-0a1b2c3d4e5f60718","subnets":["subnet-0a1b2c3d4e5f60718","subnet-1a1b2c3d4e5f60718"],"routeTables":["rtb-0a1b2c3d4e5f60718"],"targets":["10.1.0.0/16","sg-0a1b2c3d4e5f60718"],"s3":"pl-63a5400a","dynamodb":"pl-02cd2c6b"}

TOOLS   := tools/node_modules/.bin
SOURCES := go.mod go.sum $(shell find functions internal -type f ! -name '*_test.go' ! -path '*/testdata/*' 2>/dev/null)
INFRA   := go.mod go.sum internal/env/env.go $(shell find infra -type f ! -name '*_test.go' ! -name '.*')
CLI     := $(SOURCES) $(shell find cmd localstack -type f -name '*.go' ! -name '*_test.go' 2>/dev/null)
YAML    := $(shell find $(CONTRACTS) -type f 2>/dev/null)
ASL     := $(wildcard statemachines/*.asl.json)

# The commit that the contracts were last changed in, as far as Git knows it.
COMMIT := $(shell git log -1 --format=%H -- $(CONTRACTS) 2>/dev/null)$(shell test -z "$$(git status --porcelain -- $(CONTRACTS) 2>/dev/null)" || echo +changes)

# Functions are static and the same bytes wherever they are built. lambda.norpc leaves out what only the retired go1.x
# runtime called.
GOFUNCTION := CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags "-s -w -buildid="

# jsii says at length that it will not support Node 20 for ever.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing, or say how to
	@scripts/setup.sh

.PHONY: demo
demo: setup build-local synth-local build/mayfly ## The main job, start to end, on the local stack
	@build/mayfly demo

.PHONY: up
up: setup build-local synth-local build/mayfly ## Local stack, PostgreSQL and the deployed template, until Ctrl-C
	@build/mayfly up

.PHONY: test
test: setup build-local synth-local lint-template lint-machines ## Every test, set-up included
	go test -timeout 25m ./...

.PHONY: lint
lint: setup lint-template lint-machines ## gofmt, go vet, staticcheck, cfn-lint, asl-validator
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; test -z "$$unformatted" || { echo "not gofmt'd:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

.PHONY: bench
bench: setup build build-local synth-local ## Measure, and fail where a limit is broken; BENCH_ARGS="--json FILE --runs N"
	@go run ./bench $(BENCH_ARGS)

.PHONY: fuzz
fuzz: ## Every fuzz test for FUZZTIME (10s)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: fleet
fleet: setup build-local synth-local ## FLEET (10000) secrets resolve and start, each once, while functions are killed
	MAYFLY_FLEET=$(FLEET) go test ./localstack/playground -run Fleet -v -timeout 60m

.PHONY: mutate
mutate: setup build-local synth-local ## Take each permission out of the template in turn, and see a test fail (an hour or two)
	MAYFLY_USAGE=$(CURDIR)/build/usage.json go test -count 1 -timeout 25m ./localstack/playground
	MAYFLY_MUTATE=$(CURDIR)/build/usage.json go test ./localstack/playground -run TestEachPermissionIsNeeded -v -timeout 6h

.PHONY: build
build: build/functions/.built build/functions/apply-contracts/contracts.json build/functions/admit-rotation/guardrails.cedar ## The functions for Lambda (linux/arm64) and the contracts

.PHONY: build-local
build-local: build/local/.built build/local/apply-contracts/contracts.json build/local/admit-rotation/guardrails.cedar ## The same for this machine

.PHONY: synth
synth: setup build build/infra ## The CloudFormation template, into cdk.out
	@scripts/synth.sh cdk.out build/functions

.PHONY: synth-local
synth-local: .mayfly/cdk.out/manifest.json .mayfly/cdk.vpc/manifest.json # for the local stack; the second one in a VPC

.PHONY: deploy
deploy: setup build build/infra ## Deploy to the AWS account of the environment; CDK_ARGS="-c retentionDays=730 ..."
	$(TOOLS)/cdk deploy --app build/infra $(CDK_ARGS)

.PHONY: lint-template
lint-template: setup synth-local
	@scripts/cfn-lint.sh .mayfly/cdk.out/Mayfly.template.json .mayfly/cdk.vpc/Mayfly.template.json

.PHONY: lint-machines
lint-machines: setup
	@scripts/lint-machines.sh $(ASL)

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf build cdk.out .mayfly

# All functions in one go build, which shares the work; then each into the folder that becomes its zip file.
build/functions/.built: export GOOS := linux
build/functions/.built: export GOARCH := arm64
build/functions/.built build/local/.built: $(SOURCES)
	@rm -rf $(@D)/.bin && mkdir -p $(@D)/.bin
	$(GOFUNCTION) -o $(@D)/.bin/ ./functions/...
	@for f in $(@D)/.bin/*; do d=$(@D)/$$(basename $$f); mkdir -p $$d && mv $$f $$d/bootstrap || exit 1; done
	@rmdir $(@D)/.bin && touch $@

build/functions/apply-contracts/contracts.json build/local/apply-contracts/contracts.json: build/contracts.json
	@mkdir -p $(@D) && cp $< $@

build/functions/admit-rotation/guardrails.cedar build/local/admit-rotation/guardrails.cedar: build/guardrails.cedar
	@mkdir -p $(@D) && cp $< $@

# Replaced only when they change: another digest is another template.
build/contracts.json: build/mayfly build/commit $(YAML)
	@build/mayfly compile $(CONTRACTS) --out $@.new --commit "$(COMMIT)" >/dev/null
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

build/guardrails.cedar: build/mayfly build/commit $(YAML)
	@build/mayfly compile $(CONTRACTS) --out - --guardrails $@.new >/dev/null
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# Rewritten only when it changes, so that what depends on it is, too.
build/commit: always
	@mkdir -p $(@D); echo "$(CONTRACTS) $(COMMIT)" | cmp -s - $@ || echo "$(CONTRACTS) $(COMMIT)" > $@

.PHONY: always
always:

build/mayfly: $(CLI)
	@mkdir -p $(@D)
	go build -trimpath -o $@ ./cmd/mayfly

build/infra: $(INFRA)
	@mkdir -p $(@D)
	go build -trimpath -o $@ ./infra/app

.mayfly/cdk.out/manifest.json .mayfly/cdk.vpc/manifest.json: build/infra build/local/.built build/local/apply-contracts/contracts.json build/local/admit-rotation/guardrails.cedar $(ASL)
	@scripts/synth.sh $(@D) build/local $(if $(filter %vpc,$(@D)),'$(VPC)')
	@touch $@
