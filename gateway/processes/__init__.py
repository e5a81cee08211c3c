"""Several processes of one gateway: how many, who starts them, and what they tell each other.

Each serves requests as a gateway of one process does. Not here: what one process does (`gateway.app`), and what all of
them answer about their health (`gateway.api.joint_health`).
"""
