"""`make bench`: this service and what a team would take instead, side by side in one run (docs/performance.md).

`systems` says who is compared and how each is asked, `workloads` what is asked, `run` goes through both in turn,
`load_generator` sends the requests from a process of its own, and `report` makes tables and plots of the results.
"""
