"""How long tests wait for what comes by itself: longer than any machine that works has needed.

A condition that holds ends the wait at once: a long timeout costs nothing but where a test fails. How long it takes on
a quiet machine is measured by `benchmarks`, not asserted here: nine test runs on two cores took ten times as long as
one. Where the time is what is tested, its bound lies between what is right, ten times over, and what is wrong.
"""

WAIT_SECONDS = 240.0
"""Seconds for one condition; pytest's own timeout, in pyproject.toml, is above what a test waits for in all."""
