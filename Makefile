# `make run` starts the PBX, `make test` tests it; each sets up what it needs.
PBX := .venv/bin/pbx
SOURCES := pbx tests bench
# What `make bench` measures, in 40 minutes; first_call, kernel, records and the full soak are run on their own.
FIGURES := calls registrations relay rate capacity memory growth overload sound
PARTS := decide digest exchange parse sdp sound transactions udp worker

.PHONY: run test check bench bench-parts clean

run: .venv/.stamp-run
	@exec $(PBX) serve

test: .venv/.stamp-test
	@scripts/test-packages
	.venv/bin/pytest -q -n 3 --dist loadgroup --ignore tests/phones tests
	.venv/bin/pytest -q -n 4 --dist loadfile tests/phones

check: .venv/.stamp-test
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/mypy --strict pbx

bench: .venv/.stamp-test
	@scripts/bench-packages
	@for each in $(FIGURES); do echo "== $$each"; .venv/bin/python -m bench.$$each || exit 1; done

bench-parts: .venv/.stamp-test
	@for each in $(PARTS); do echo "== $$each"; .venv/bin/python -m bench.parts.$$each || exit 1; done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.stamp-run: pyproject.toml scripts/venv
	@scripts/venv run
	@touch $@

.venv/.stamp-test: pyproject.toml scripts/venv
	@scripts/venv test
	@touch $@ .venv/.stamp-run
