"""What is small enough to be worked on in the event loop; larger requests go to a thread and count as memory."""

INLINE_BYTES = 16_384
"""A body up to this size is read in under a millisecond, less than handing it to a thread would add under load."""
INLINE_OBJECTS = 100
"""Up to this many JSON objects are converted inline."""
