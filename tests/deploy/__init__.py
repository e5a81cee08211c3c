"""What people deploy with: the files beside the code, checked."""
