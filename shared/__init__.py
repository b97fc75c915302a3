"""The library: everything that decides, computes or stores. A room is one idea; dependencies point one way:

    plan <- estimate, inputs, table <- chunks <- run <- work, verify <- operate <- dispatch <- memory, gcp

with `errors`, `bucket_credentials`, `classify`, `exit_codes`, `logs`, `timestamps`, `version` and `environment`
below all. Only `shared.gcp` imports Google's libraries, so the rest works without any cloud package.
ARCHITECTURE.md says why.
"""
