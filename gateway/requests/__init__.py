"""From the bytes of a request to matrices: files and forms, JSON transactions, and payloads parsed for each version.

Not here: what a cell may be (`contract`), and limits on whole bodies (`gateway.http.body_limit`).
"""
