# make demo   a running permit office on this machine
# make test   all tests, on a PostgreSQL of their own
# make bench  what the service does in a second, and what that costs: into benches/RESULTS.md
#
# Each first checks what it needs and installs it where it knows how: PostgreSQL, and zbarimg and poppler for the tests. The demo is built with the dev
# profile, in which the password hash and the signatures are optimised: seconds to rebuild, minutes less
# than a release build on a fresh machine. For production: cargo build --release.

.PHONY: demo test bench

demo:
	@.ci/setup
	cargo run --locked -- demo $(ARGS)

test:
	@.ci/setup tests
	cargo test --locked $(ARGS)

# BENCH_APPLICATIONS=10000 for a short one, 10000000 for a large one; benches/load/main.rs lists the variables.
bench:
	@.ci/setup
	cargo bench --locked --bench load $(ARGS)
