"""The library: everything that decides, computes or stores, importable without any cloud package.

Dependencies point one way, and a test keeps it so:

    errors <- plan <- inputs, table <- build <- run <- gcp <- jobs, functions

Only `shared.gcp` imports google.cloud packages.
"""
