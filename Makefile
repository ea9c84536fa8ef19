# The two commands of the README are `make train` and `make test`; both set up their environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup train test test-slow torture lint benchmark clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dapo needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	@echo "1 of 2: PyTorch, the largest part, takes minutes"
	$(BIN)/python -m pip install --constraint constraints.txt torch
	@echo "2 of 2: dapo and its other libraries"
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

train: $(READY)
	$(BIN)/dapo train --algo dapo-kl --env HalfCheetah-v4 --steps 20000

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow -n 2

# Hours of two free cores: hostile input by the thousand, kills, 32 writers, a failure of each single operation on the
# disk, power failures, long random sequences of commands, certificates of resume.
torture: $(READY)
	HOSTILE_EXAMPLES=10000 $(BIN)/python -m pytest -n 2 -m "slow or not slow" tests/hostile
	FAULT_POSITIONS=1000000 MODEL_SEQUENCES=200 $(BIN)/python -m pytest -n 2 -m "slow or not slow" \
		tests/faults tests/store/test_against_a_model.py tests/store/test_unacknowledged.py
	$(BIN)/dapo selftest --resume --algo dapo-kl
	$(BIN)/dapo selftest --resume --algo sac --compile on

benchmark: $(READY)
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/update.py
	$(BIN)/python benchmarks/seeds.py
	$(BIN)/python benchmarks/recording.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/startup.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
