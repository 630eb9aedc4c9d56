# Everything happens in .venv, which the targets make and keep up to date. PYTHON chooses the Python (3.11 or newer) that it is made from.

PYTHON ?= python3
# The handwriting that `make model`, `make samples` and `make strings` draw from; an .npz file, or openml to download it.
DATA ?= $(firstword $(wildcard ../shared/data/mnist-train.npz) openml)
# Digits cut from US mail, in their order, from which the network learns too; an .npz file, or empty.
MAIL ?= $(wildcard ../shared/data/usps-train.npz)
# Folders of labelled crops that `make accuracy` measures on besides the sample scans and tests/strings, where they exist.
BENCH ?= ../shared/bench/dev ../shared/bench/cheques ../shared/bench/kinds

# How many inputs `make soak` scans.
SOAK ?= 20000

# How many crops the whole runs of `make bench` read.
SIZES ?= 1,12,1000,10000

# How long `make fuzz` runs.
SECONDS ?= 60

BIN := .venv/bin
SOURCES := pyproject.toml LICENSE $(wildcard README.md) $(shell find zipocr -type f -not -name '*.pyc')

.PHONY: help scan test golden soak bench cost fuzz check fonts samples strings listing model accuracy pictures clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two installations into one .venv would disturb each other.
.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

scan: .venv/installed ## Read the sample scans and show what was read
	$(BIN)/zipocr scan sample_scans/ -o results.csv --force

test: .venv/with-test .venv/handwriting/installed ## Run the tests against the installed package
	$(BIN)/pytest

golden: .venv/with-test ## Write down anew what the models read of the scans in the repository
	$(BIN)/python tests/golden.py

soak: .venv/with-test ## Scan 20,000 inputs and show the memory that takes (SOAK=count)
	$(BIN)/python tests/soak.py $(SOAK)

bench: .venv/with-test ## Measure how long reading takes and write the manual's figures (SIZES=1,12,...)
	$(BIN)/python tests/bench.py --sizes $(SIZES) --write
	$(BIN)/python tests/cost.py --write

cost: .venv/with-test ## Reckon what a year of the mail that machines could not read would cost
	$(BIN)/python tests/cost.py --write

fuzz: .venv/with-fuzz ## Throw made-up files at all that reads files, twice a minute (SECONDS=60)
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

samples: .venv/with-train .venv/handwriting/installed ## Remake sample_scans/, pixel for pixel (DATA=FILE.npz or openml)
	$(BIN)/python -m zipocr.training.assets.sample_scans $(DATA) sample_scans

strings: .venv/with-train ## Remake tests/strings/, the composed strings to measure on (DATA=FILE.npz or openml)
	$(BIN)/python -m zipocr.training.assets.benchmark_strings $(DATA) tests/strings

listing: .venv/with-train ## Take over the list of ZIPs that ships with the package anew
	$(BIN)/python -m zipocr.training.assets.zip_list zipocr/models/places.csv.gz

model: .venv/with-train .venv/handwriting/installed ## Retrain the shipped models, going on where it was interrupted (DATA=, MAIL=)
	$(BIN)/python -m pip install --quiet '.[network]'
	$(BIN)/zipocr train --data digits --checkpoints .venv/checkpoints --model-out zipocr/models/digits.npz
	$(BIN)/zipocr train --data $(DATA) $(MAIL:%=--mail-digits %) --checkpoints .venv/checkpoints --model-out zipocr/models/mail.npz

accuracy: .venv/with-train ## Measure the models and write the manual's results (BENCH=folders with labels.csv)
	$(BIN)/python -m zipocr.training.benchmark.accuracy . sample_scans/labels.csv tests/strings/labels.csv $(wildcard $(BENCH:=/labels.csv)) --digits $(DATA)

pictures: .venv/with-test ## Redraw the manual's pictures (the review's needs chromium)
	$(BIN)/zipocr inspect sample_scans/touching/touching-03.png -o .venv/pictures
	mv .venv/pictures/touching-03-p1.zipocr.png tests/pictures/touching.png
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

# Each stamp is touched last, so that what was interrupted is done again.
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
