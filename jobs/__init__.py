"""The programs: the worker that Cloud Run starts, the command line, the local runner, the example.

Entry points are thin: they read the environment once, open connections, and call `shared`.
"""
