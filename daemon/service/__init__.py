"""The service on a node: installs, scans, repairs and prunes in rounds, and answers over HTTP.

Enters: the options of `run`. Leaves: `/healthz`, `/readyz`, `/metrics`, the status page, the feature file.
"""
