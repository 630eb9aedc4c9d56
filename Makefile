# Everything happens in .venv, which the targets create and keep up to date, with the Python (3.11 or newer)
# that PYTHON names.

PYTHON ?= python3
# Handwriting for `make model`, `make samples` and `make strings`: an .npz file, or openml to download it.
DATA ?= $(firstword $(wildcard ../shared/data/mnist-train.npz) openml)
# Digits cut from US mail, in their original order, for the network: an .npz file, or empty.
MAIL ?= $(wildcard ../shared/data/usps-train.npz)
# Folders of labelled scans for `make accuracy`, besides sample_scans and tests/strings, if they exist.
BENCH ?= $(addprefix ../shared/bench/,dev cheques kinds envelopes)

# Number of inputs of `make soak`.
SOAK ?= 20000

# Duration of `make chaos` in seconds, without its large pages.
CHAOS ?= 300

# Numbers of crops in the runs of `make bench`.
SIZES ?= 1,12,1000,10000

# Duration of `make fuzz`.
SECONDS ?= 60

BIN := .venv/bin
SOURCES := pyproject.toml LICENSE $(wildcard README.md) $(shell find zipocr -type f -not -name '*.pyc')

.PHONY: help scan test smoke golden soak chaos bench cost fuzz check fonts samples strings listing model accuracy pictures clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two installations into one .venv would conflict.
.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

scan: .venv/installed ## Read the sample scans and show the results
	$(BIN)/zipocr scan sample_scans/ -o results.csv --force

test: .venv/with-test .venv/handwriting/installed ## Run the tests against the installed package
	$(BIN)/pytest $(if $(CI),--cov --cov-report=)
	@$(if $(CI),echo "coverage of lines and branches: $$($(BIN)/coverage report --format=total) %",true)

smoke: .venv/with-test ## Test the wheel alone, with the oldest and the newest Python and dependencies
	rm -rf .venv/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir .venv/wheel .
	$(BIN)/python tests/smoke.py .venv/wheel/*.whl

golden: .venv/with-test ## Rewrite the golden files: what the models read of the scans in the repository
	$(BIN)/python tests/golden.py

soak: .venv/with-test ## Scan 20,000 inputs and show the memory used (SOAK=count)
	$(BIN)/python tests/soak.py $(SOAK)

chaos: .venv/with-test .venv/handwriting/installed ## Interrupt scans at random, read large pages, and write the manual's figures (CHAOS=seconds)
	cd tests && ../$(BIN)/python chaos.py $(CHAOS) --write

bench: .venv/with-test ## Measure speed and write the manual's figures (SIZES=1,12,...)
	$(BIN)/python tests/bench.py --sizes $(SIZES) --write
	$(BIN)/python tests/cost.py --write

cost: .venv/with-test ## Compute the cost of a very large run
	$(BIN)/python tests/cost.py --write

fuzz: .venv/with-fuzz ## Fuzz everything that reads files, for a minute each (SECONDS=60)
	mkdir -p .venv/fuzz
	cd .venv/fuzz && ../bin/python ../../tests/fuzz.py $(SECONDS)
	$(BIN)/python tests/mutants.py $(SECONDS)

check: .venv/with-dev ## Check style, types, import contracts and the manual's help texts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/manual.py

fonts: .venv/handwriting/installed ## Install the typefaces of composed pages (needs npm)

samples: .venv/with-train .venv/handwriting/installed ## Regenerate sample_scans/, pixel for pixel (DATA=)
	$(BIN)/python -m zipocr.training.assets.sample_scans $(DATA) sample_scans

strings: .venv/with-train ## Regenerate tests/strings/, the composed strings (DATA=FILE.npz or openml)
	$(BIN)/python -m zipocr.training.assets.benchmark_strings $(DATA) tests/strings

listing: .venv/with-train ## Regenerate the shipped list of ZIP codes
	$(BIN)/python -m zipocr.training.assets.zip_list zipocr/models/places.csv.gz

model: .venv/with-train .venv/handwriting/installed ## Retrain the shipped models, or resume training (DATA=, MAIL=)
	$(BIN)/python -m pip install --quiet '.[network]'
	$(BIN)/zipocr train --data digits --checkpoints .venv/checkpoints --model-out zipocr/models/digits.npz
	$(BIN)/zipocr train --data $(DATA) $(MAIL:%=--mail-digits %) --checkpoints .venv/checkpoints --model-out zipocr/models/mail.npz
	$(BIN)/python -m zipocr.training.fit.page_choice $(DATA) zipocr/models/mail.npz .venv/checkpoints

accuracy: .venv/with-train .venv/handwriting/installed ## Measure the models and write the manual's results (BENCH=folders with labels.csv)
	$(BIN)/python -m zipocr.training.benchmark.accuracy . sample_scans/labels.csv tests/strings/labels.csv $(wildcard $(BENCH:=/labels.csv)) --digits $(DATA)

pictures: .venv/with-test ## Redraw the manual's pictures (the review page needs chromium)
	$(BIN)/zipocr inspect sample_scans/touching/touching-03.png -o .venv/pictures
	mv .venv/pictures/touching-03-p1.zipocr.png tests/pictures/touching.png
	$(BIN)/zipocr inspect sample_scans/pages/page-13-printed-envelope.jpg -o .venv/pictures
	mv .venv/pictures/page-13-printed-envelope-p1.zipocr.png tests/pictures/envelope.png
	$(BIN)/zipocr scan sample_scans/ -o .venv/pictures/samples.csv --force
	$(BIN)/zipocr evaluate .venv/pictures/samples.csv sample_scans/labels.csv --max-error 0.05 --worst 0 -o .venv/pictures --force
	mv .venv/pictures/report.png tests/pictures/report.png
	$(BIN)/python tests/replay.py tests/pictures/review.png

clean: ## Remove .venv, results.csv and caches
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -f results.csv results.csv.json results.csv.journal bench.json bench.png

# Typefaces as npm packages; --no-package-lock, since a lock would name one registry.
.venv/handwriting/installed: zipocr/training/synthesis/pages/package.json .venv/made
	mkdir -p $(@D)
	cp $< $(@D)
	npm install --prefix $(@D) --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	touch $@

# Stamps are touched last, so that an interrupted step is repeated.
.venv/made:
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	touch $@

.venv/installed: .venv/made $(SOURCES)
	$(BIN)/python -m pip install --quiet .
	touch $@

.venv/with-train .venv/with-report: .venv/with-%: .venv/made $(SOURCES)
	$(BIN)/python -m pip install --quiet '.[$*]'
	touch .venv/installed $@

.venv/with-test .venv/with-dev .venv/with-fuzz: .venv/with-%: .venv/made $(SOURCES)
	$(BIN)/python -m pip install --quiet '.[dask,heif,parquet,pdf,plots,report,review,s3,train,watch]' --group $*
	touch .venv/installed $@
