"""What training, the gateway and the model server agree on; it travels in every archive.

Here: columns and cells, features, the wire frame, decision bands, the model card and golden rows. It needs numpy alone,
and does no I/O. Not here: what only those need who never score (`history`, `releases`).
"""
