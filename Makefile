# Everything a contributor needs, from any folder: make -C path/to/checkout test
.PHONY: help setup test demo bench lock clean
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE :=

help:
	@echo "make test    every check: lint, format, types, floors, tests with snapshots"
	@echo "make demo    deploy the reference stack on this machine, without an AWS account, and destroy it again"
	@echo "make bench   measure synth against the same flow by hand, CDK Pipelines and JavaScript"
	@echo "make setup   make .venv: Python packages, Node, CDK CLI"
	@echo "make lock    resolve the versions in .ci/requirements.txt again"
	@echo "make clean   delete what the above made"

setup:
	@.ci/setup

test: setup
	@.ci/check

demo: setup
	@exec python -m code_family_constructs.local demo --app "python -O app.py" --stack GitHubToEc2 --change branch=release

bench: setup
	@exec python benchmarks/synth.py

lock: setup
	uv pip compile pyproject.toml --group dev --extra local --extra testing --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --output-file .ci/requirements.txt

clean:
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache cdk.out dist
