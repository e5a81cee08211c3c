"""All that is durable in one checksummed file, and back."""
