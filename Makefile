# Every target is a command of Cargo or of xtask/. ARGS is passed on; s names one service for `logs`, n says how
# much `soak` and `fuzz` do.

XTASK := cargo xtask
ARGS ?=
s ?=
n ?=

.DEFAULT_GOAL := help
.PHONY: help up start down stop run logs load verify stack test e2e soak fuzz lint vet bench clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

up: ## start the stack: containers, native programs or the service alone (PHASELAB_UP=docker|native|single)
	@$(XTASK) up

down: ## stop what `make up` started and remove what it wrote (ARGS=--keep-data keeps data and logs)
	@$(XTASK) down $(ARGS)

run: ## run the service alone in the foreground
	cargo run --release -- serve $(ARGS)

logs: ## show the stack's logs (s=collector for one service, ARGS=-f to follow)
	@$(XTASK) logs $(s) $(ARGS)

load: ## put load on the running service (ARGS='--rate 50 --duration 30s')
	@$(XTASK) phaselab load $(ARGS)

verify: ## ask the backends whether every exemplar resolves to its trace
	@$(XTASK) phaselab verify $(ARGS)

stack: ## build collector, Prometheus, Alertmanager and Jaeger with Go into the user cache
	@$(XTASK) stack $(ARGS)

test: ## run all tests that need only Rust
	cargo test --workspace $(ARGS)
	cargo test --package otel-exemplars --lib --features __loom loom_

e2e: ## run the end-to-end tests on the real programs (needs `make stack` once; ARGS=name selects)
	@$(XTASK) e2e $(ARGS)

soak: ## take 1,000 profiles under full load (n=5000 for more), fit the workers' slopes over ten minutes, and play with 500 bots for a minute (needs `make stack`)
	STORM_ROUNDS=$(or $(n),1000) cargo test --package span-profiler --all-features --release --test storm -- --nocapture
	WORKERS_SECONDS=600 $(XTASK) e2e workers
	GAME_PLAYERS=500 GAME_SECONDS=60 $(XTASK) e2e websocket

fuzz: ## try every parser with 100,000 inputs made at random (n=1000000 for more)
	PROPTEST_CASES=$(or $(n),100000) cargo test --package phaselab --package span-profiler --lib fuzz_

lint: ## check format, lints, documentation and every configuration file
	@$(XTASK) lint

bench: ## run the benchmarks (needs `make stack` once; ARGS='--rounds 10' for those of the service)
	cargo bench --package otel-exemplars
	cargo bench --package span-profiler --all-features
	cargo bench --package xtask --bench requests -- $(ARGS)

clean: ## stop the stack and remove everything that was built here
	@$(XTASK) down
	cargo clean

start: up
stop: down
vet: lint
