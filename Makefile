# make demo   a running permit office on this machine
# make test   all tests, on a PostgreSQL of their own
#
# Each first checks what it needs and installs it where it knows how: PostgreSQL, and zbarimg and poppler for the tests. The demo is built with the dev
# profile, in which the password hash and the signatures are optimised: seconds to rebuild, minutes less
# than a release build on a fresh machine. For production: cargo build --release.

.PHONY: demo test

demo:
	@.ci/setup
	cargo run --locked -- demo $(ARGS)

test:
	@.ci/setup tests
	cargo test --locked $(ARGS)
