"""Training of the fraud models: from a labelled file to an archive.

Here: schema files, data and their split, the network, the loop, evaluation, decision thresholds, export and archive.
Not here: columns and features (`contract`, `history`), and the store that archives go to (`operations.store`).
"""

import os

# Before torch loads OpenMP: threads that wait for each other sleep instead of spinning. On two cores, beside two busy
# processes and more, 300 small steps took 9 to 12 s with two threads so, and 97 to 128 s with two that spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
