"""What else a team would serve the same model with, as each one's own documentation advises; `make bench` compares.

Each module is a server, and runs in an environment of its own (`locks/`): it imports its framework, `contract` and
`benchmarks.peers.scorer`, and nothing else of this project. All read the module and the contract of one version from
the directory MODEL_DIRECTORY, and listen on 127.0.0.1:PORT.
"""
