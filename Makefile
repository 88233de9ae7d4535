# People and CI call the same targets. PYTHON chooses the interpreter, CI=1 turns "unavailable here" into a failure,
# ARGS goes to pytest: make test ARGS="tests/unit -k policy".
PYTHON ?= python3
CI ?=
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
PROTO := .venv/proto/.ready
comma := ,
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench fuzz soak vm proto clean

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(READY)  ## An agent answers a question about a real workbook, in a sandbox
	$(BIN)/python -m sandboxd_client.demo $(ARGS)

test: lint  ## Lint, then every test; as root also as an ordinary user
	tests/engine/install.sh
	$(BIN)/python -m pytest $(if $(CI),--require=userns$(if $(filter 0,$(shell id -u)),$(comma)root$(comma)docker)) $(ARGS)
	tests/run_as_user.sh $(if $(CI),--require=userns)
	$(if $(CI),CI=1 $(BIN)/python -m tests.vm --seed)
	$(if $(CI),$(BIN)/python -m tests.static.fuzz --seconds 75 --seed 1795557286)

lint: $(READY) $(PROTO)  ## Style, types, import contracts, freshness of generated code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python client/unasync.py --check
	.venv/proto/bin/python tests/project/check_proto.py --check

bench: $(READY)  ## Print the ratios of design section 6
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(READY)  ## Programs from a grammar, honest and hostile, against the static layers
	$(BIN)/python -m tests.static.fuzz $(ARGS)

vm: $(READY)  ## The jail's tests on Debian kernels with cgroup v2 alone, in an emulated machine
	CI=$(CI) $(BIN)/python -m tests.vm $(ARGS)

soak: $(READY)  ## Kill at random for minutes, then run 10,000 one-shots: nothing is left, nothing grows
	cd tests && ../$(BIN)/python -m crash $(ARGS)

proto: $(PROTO)  ## Generate the protobuf code again
	.venv/proto/bin/python tests/project/check_proto.py

clean:  ## Remove what make made
	rm -rf .venv demo-output build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(READY): pyproject.toml
	@PYTHON="$(PYTHON)" tests/check_machine.sh
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# A virtual environment of its own: the generator pins protobuf to the floor of what users may run.
$(PROTO): pyproject.toml tests/project/check_proto.py | $(READY)
	$(PYTHON) -m venv .venv/proto
	.venv/proto/bin/python tests/project/check_proto.py --requirements | .venv/proto/bin/python -m pip install --quiet --disable-pip-version-check --requirement /dev/stdin
	@touch $@
