"""What is installed, to the last hash: the lock files, and what is checked and said of them."""
