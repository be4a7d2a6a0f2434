# `make help` lists the targets. Each makes .venv when it is missing, and again when setup.cfg has changed.
#   PYTHON=python3.12   which Python .venv is made of
#   VENV=path           use this finished environment as it is; nothing is installed
#   ARGS='-k masks'     more arguments for pytest
#   MINUTES=100         how long `make results` may take a sitting; it stops resumably
#   PHOTOS=folder       photographs with a labels.csv, without which results/faces is left as it is
#   FEATURES=vgg19      feature extractor of `make results`: vgg19, vgg16, or a .keras file

VENV ?= .venv
PY := $(VENV)/bin/python
KAGGLE := .venv-kaggle
# Formats and checks the page's JavaScript; the page itself needs no npm.
BIOME := @biomejs/biome@2.6.8
ifeq ($(origin VENV),file)
READY := $(VENV)/.installed
endif

.DEFAULT_GOAL := help
MINUTES ?= 100
FEATURES ?= vgg19
.PHONY: help demo test kaggle kernels lint results

help: ## list the targets; installs nothing
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1 \2/p' Makefile | awk '{printf "%s %-7s", $$1, $$2; $$1=$$2=""; print}'

demo: $(READY) ## train on toy faces, score the result and name a sheet of unmasked faces: 5 minutes on two cores
	$(PY) -m rac_unet.train --preset demo --runs runs
	@run=$$(ls -d runs/*-demo | tail -n 1) && sheet="$$run/eval/test/samples.png" && \
	echo '$(PY) -m rac_unet.evaluate' "$$run" && $(PY) -m rac_unet.evaluate "$$run" && \
	if [ -f "$$sheet" ]; then echo "sheet    $$sheet"; else echo "error: evaluate made no $$sheet" >&2; exit 1; fi

# Exit code 3 of a study says that its time was up; the next sitting goes on there.
results: $(READY) ## make what results/ still lacks, as far as MINUTES allow, and the reports of what is there
	@end=$$(( $$(date +%s) + 60 * $(MINUTES) )); \
	study() { left=$$(( (end - $$(date +%s)) / 60 )); [ $$left -gt 0 ] || left=0.01; \
		$(PY) -m rac_unet.study results/$$1/plan.yaml --output results/$$1 --features $(FEATURES) --max_minutes $$left $$2 $$3 \
			|| [ $$? = 3 ]; }; \
	study toy_ambiguous && study toy_natural && \
	if [ -n "$(PHOTOS)" ]; then \
		$(PY) -m data_prep.folder --photos $(PHOTOS) --labels $(PHOTOS)/labels.csv --output runs/photos --size 96 --held_out valve,bandana && \
		study faces --data runs/photos; \
	else echo "results/faces is made from photographs: make results PHOTOS=folder"; fi

# Two at a time, since most of a test is Python tracing a network, on one core; a file's tests share what they made.
test: $(READY) ## run all tests
	$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

kaggle: $(KAGGLE)/.installed ## with the versions Kaggle has, run the tests of networks and carry weights to and from the newest Keras
	RAC_UNET_OTHER_PYTHON=$(KAGGLE)/bin/python $(PY) -m pytest -q tests/models/test_keras_versions.py $(ARGS)
	$(KAGGLE)/bin/python -m pytest -q tests/models tests/objectives tests/runtime tests/exporting tests/unmasking tests/training tests/studies tests/test_train.py $(ARGS)

# The notebooks install wheels from a package index into an environment of their own. Both at once: most of a notebook is
# Python tracing networks, on one core.
kernels: $(KAGGLE)/.installed ## execute the Kaggle notebooks, chained, on drawn faces: here, and with the versions Kaggle has
	@$(PY) -m pytest -q -m kernels tests/kaggle_kernels $(ARGS) & here=$$!; \
	$(KAGGLE)/bin/python -m pytest -q -m kernels tests/kaggle_kernels $(ARGS); there=$$?; \
	wait $$here && exit $$there

lint: $(READY) ## check formatting, style and the types of the public API; `ruff format . && ruff check --fix .` mends what it can
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	@if npx --yes $(BIOME) --version >/dev/null 2>&1; then \
		npx --yes $(BIOME) ci --config-path tests/page/javascript_style.json rac_unet/page/static/*.js rac_unet/page/static/*.css tests/page/*.js; \
	else echo "note: without npm, or without a network, the page's JavaScript is not checked"; fi

# uv takes a third of pip's time; where it is not on PATH it is tried from the new environment, and pip is the way back.
$(VENV)/.installed: setup.cfg pyproject.toml
	@set -e; if command -v uv >/dev/null; then \
		[ -x $(PY) ] || uv venv --quiet --allow-existing --python "$(or $(PYTHON),$(shell sed -n 's/^python_requires = //p' setup.cfg))" $(VENV); \
		echo "installing into $(VENV) with uv"; \
		install="uv pip install --quiet --python $(PY)"; \
	else \
		[ -x $(PY) ] || $(or $(PYTHON),python3) -m venv $(VENV); \
		$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip; \
		echo "installing into $(VENV): a minute or two"; \
		install="$(PY) -m pip install --quiet --disable-pip-version-check"; \
		if $$install uv; then install="$(PY) -m uv pip install --quiet --python $(PY)"; fi; \
	fi; \
	$$install --editable '.[dev]'; \
	$$install --editable '.[dev,brisque]' 2>/dev/null || \
		echo "note: the extra brisque cannot be built here (its libsvm needs a C compiler); its tests are skipped"
	@touch $@

$(KAGGLE)/.installed: $(READY) setup.cfg pyproject.toml
	@[ -x $(KAGGLE)/bin/python ] || $(PY) -m venv $(KAGGLE)
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet uv
	$(PY) -m uv pip install --quiet --python $(KAGGLE)/bin/python --editable '.[dev]' 'tensorflow==2.20.*' 'keras==3.13.2' 'numpy==2.0.*; python_version < "3.13"'
	@touch $@
