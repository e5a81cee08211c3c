"""How the service is deployed elsewhere than on one machine, and what those files are made by."""
