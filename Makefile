.PHONY: check format test slow

check:  ## format, lint and types, as CI runs them
	ruff format --check .
	ruff check .
	pyrefly check

format:  ## bring the code into shape
	ruff format .
	ruff check --fix .

test:  ## the default suite, a few minutes
	pytest

slow:  ## what takes longer
	pytest -m slow
