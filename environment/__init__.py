"""What every process of a deployment reads of its environment.

Here: secrets that lie in files. Not here: the settings of one process, which stand beside it.
"""
