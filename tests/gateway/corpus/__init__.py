"""Bad requests, as bytes: what each is, and what may be answered."""
