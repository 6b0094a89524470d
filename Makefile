# `make run` starts the PBX, `make test` tests it; each sets up what it needs.
PBX := .venv/bin/pbx
SOURCES := pbx tests bench

.PHONY: run test check bench clean

run: .venv/.stamp-run
	@exec $(PBX) serve

test: .venv/.stamp-test
	@scripts/test-packages
	.venv/bin/pytest -q -n 2 --dist loadgroup --ignore tests/phones tests
	.venv/bin/pytest -q -n 2 --dist loadfile tests/phones

check: .venv/.stamp-test
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/mypy --strict pbx

bench: .venv/.stamp-test
	@for script in bench/*.py; do echo "== $$script"; .venv/bin/python $$script || exit 1; done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.stamp-run: pyproject.toml scripts/venv
	@scripts/venv run
	@touch $@

.venv/.stamp-test: pyproject.toml scripts/venv
	@scripts/venv test
	@touch $@ .venv/.stamp-run
