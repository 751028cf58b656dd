# The targets print themselves: make help.
GO      ?= go
BIN     := cellwall
OUT     ?= out
LINTER  ?= golangci-lint
export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help build attacker verify ladder runtimes docs matrix test test-vm race fuzz lint arm64 bench bench-core clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | while IFS='|' read -r t d; do printf '  %-10s %s\n' "$$t" "$$d"; done

build: attacker ## build the static program
	$(GO) build -trimpath -tags embedded -o $(BIN) .

# The small program that containers run, which the tag embeds: suites/attacker.
attacker:
	@$(GO) generate ./suites/attacker

# What needs root gets it by sudo, and only that: the build and the directories stay the user's.
SUDO ?= $(if $(filter 0,$(shell id -u)),,sudo)

verify: build ## verify this host's walls with the core (root, by sudo)
	@mkdir -p $(OUT)
	$(SUDO) ./$(BIN) verify --out $(OUT)

ladder: build ## show what each rung of the ladder stops (root, by sudo)
	@mkdir -p $(OUT)
	$(SUDO) ./$(BIN) ladder --out $(OUT)

runtimes: build ## verify the walls of every runtime that is found, and show where they differ (root, by sudo)
	@mkdir -p $(OUT)/runtimes
	$(SUDO) env CELLWALL_REQUIRE=$(CELLWALL_REQUIRE) ./$(BIN) verify --runtime all --out $(OUT)/runtimes

docs: runtimes ## write docs/runtimes, a page for each runtime that is found (root, by sudo)
	./$(BIN) report $(OUT)/runtimes/records.jsonl --format page --out docs/runtimes

test: attacker ## run all tests; those that need root say so and are counted
	@$(GO) run ./ci/tests $(TESTFLAGS) -- -tags embedded -p 1 -count=1 ./...

KERNEL ?= debian-12
CGROUP ?= v2
test-vm: ## run the tests that need a kernel as root in a guest with KERNEL, of ci/matrix.yaml (needs QEMU)
	@$(GO) run ./ci/testvm -kernel $(KERNEL) -cgroup $(CGROUP) ./probes ./runtime/cgroup ./runtime/core | $(GO) run ./ci/tests $(TESTFLAGS)

MATRIX ?=
matrix: build ## verify the core on every kernel of ci/matrix.yaml, in guests (needs QEMU); MATRIX has further flags
	./$(BIN) matrix --out $(OUT)/matrix $(MATRIX)

race: ## run the tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -count=1 ./...

FUZZTIME ?= 10s
# By default go shrinks each new input for up to a minute, in which it tries no other.
fuzz: ## fuzz every parser for FUZZTIME each
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$p || exit 1; \
	  done; \
	done

lint: ## vet and golangci-lint
	$(GO) vet ./...
	$(LINTER) run ./...

arm64: ## build and vet for arm64
	@GOARCH=arm64 $(MAKE) --no-print-directory attacker
	GOARCH=arm64 $(GO) build -tags embedded -o /dev/null .
	GOARCH=arm64 $(GO) vet ./...

bench: build ## measure what the walls cost: start latency of every runtime that is found (root, by sudo)
	@mkdir -p $(OUT)/bench
	$(SUDO) ./$(BIN) bench --runtime all --out $(OUT)/bench --format text,markdown,gobench

bench-core: ## measure the core against the same calls from C, and the whole process against crun (needs root and a C compiler)
	$(GO) test -run '^$$' -bench StartToExit -benchtime 300x ./runtime/core
	unshare --mount sh -c "umount /sys/fs/cgroup/unified 2>/dev/null; exec $(GO) test -run '^$$' -bench WholeProcess -benchtime 100x ./runtime/core" # crun refuses v1 beside a cgroup2 mount

clean: ## remove what was built
	rm -rf $(BIN) $(OUT) suites/attacker/attacker-*
