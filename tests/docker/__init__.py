"""The images and the compose stack, built and run for real: `make docker-test`. Needs a Docker engine and compose."""
