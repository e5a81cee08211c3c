"""Which version serves: releases, trials, and what keeps TorchServe as the record says."""
