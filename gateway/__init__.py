"""The HTTP service: checks who calls, reads what they sent, asks the model server, and answers."""
