"""Everything that knows TorchServe: how it is started, asked whether it is ready, and told what to load."""
