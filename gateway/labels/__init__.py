"""Labels, which come in days after their transactions: parsing, storing and the metrics of them.

Not here: what a label changes in Redis (`history.label_update`).
"""
