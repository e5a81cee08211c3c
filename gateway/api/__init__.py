"""What callers see: the routes, the documents that they answer with, health, and OpenAPI.

Here: paths, replies and their schemas. Not here: what a route calls (`gateway.scoring`, `gateway.labels`), and HTTP
itself (`gateway.http`).
"""
