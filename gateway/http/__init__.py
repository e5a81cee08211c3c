"""HTTP before and around every route: what a request must be, and how it is answered and observed.

Here: the protocol, the middleware (observation, refusal, API key, body limit), memory for bodies and answers, and the
problems as which every error is answered. Not here: the routes and what they say (`gateway.api`).
"""
