# `make help` lists the targets. Each makes .venv when it is missing, and again when setup.cfg has changed.
#   PYTHON=python3.12   which Python .venv is made of
#   VENV=path           use this finished environment as it is; nothing is installed
#   ARGS='-k masks'     more arguments for pytest

VENV ?= .venv
PY := $(VENV)/bin/python
KAGGLE := .venv-kaggle
ifeq ($(origin VENV),file)
READY := $(VENV)/.installed
endif

.DEFAULT_GOAL := help
.PHONY: help demo test kaggle lint

help: ## list the targets; installs nothing
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1 \2/p' Makefile | awk '{printf "%s %-6s", $$1, $$2; $$1=$$2=""; print}'

demo: $(READY) ## train on toy faces, score the result and name a sheet of unmasked faces: 5 minutes on two cores
	$(PY) -m rac_unet.train --preset demo --runs runs
	@run=$$(ls -d runs/*-demo | tail -n 1) && sheet="$$run/eval/test/samples.png" && \
	echo '$(PY) -m rac_unet.evaluate' "$$run" && $(PY) -m rac_unet.evaluate "$$run" && \
	if [ -f "$$sheet" ]; then echo "sheet    $$sheet"; else echo "error: evaluate made no $$sheet" >&2; exit 1; fi

# Two at a time, since most of a test is Python tracing a network, on one core; a file's tests share what they made.
test: $(READY) ## run all tests
	$(PY) -m pytest -q -n 2 --dist loadfile $(ARGS)

kaggle: $(READY) ## with the versions Kaggle has, run the tests of networks and carry weights to and from the newest Keras
	@[ -x $(KAGGLE)/bin/python ] || $(PY) -m venv $(KAGGLE)
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet uv
	$(PY) -m uv pip install --quiet --python $(KAGGLE)/bin/python --editable '.[dev]' 'tensorflow==2.20.*' 'keras==3.13.2' 'numpy==2.0.*'
	RAC_UNET_OTHER_PYTHON=$(KAGGLE)/bin/python $(PY) -m pytest -q tests/models/test_keras_versions.py $(ARGS)
	$(KAGGLE)/bin/python -m pytest -q tests/models tests/objectives tests/inference tests/training tests/test_train.py $(ARGS)

lint: $(READY) ## check formatting and style; `ruff format . && ruff check --fix .` mends what it can
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

# uv takes a third of pip's time; where it is not on PATH it is tried from the new environment, and pip is the way back.
$(VENV)/.installed: setup.cfg pyproject.toml
	@set -e; if command -v uv >/dev/null; then \
		[ -x $(PY) ] || uv venv --quiet --allow-existing --python "$(or $(PYTHON),$(shell sed -n 's/^python_requires = //p' setup.cfg))" $(VENV); \
		echo "installing into $(VENV) with uv"; \
		uv pip install --quiet --python $(PY) --editable '.[dev]'; \
	else \
		[ -x $(PY) ] || $(or $(PYTHON),python3) -m venv $(VENV); \
		$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip; \
		echo "installing into $(VENV): a minute or two"; \
		{ $(PY) -m pip install --quiet --disable-pip-version-check uv && \
			$(PY) -m uv pip install --quiet --python $(PY) --editable '.[dev]'; } || \
			$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	fi
	@touch $@
