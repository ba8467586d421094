"""The store: what stands under the prefix of a node, and the only code that knows how it is laid out.

Enters: trees that were made in the staging folder, and what they were made from. Leaves: published and sealed
generations, their manifests, marks, locks and leases, and what differs from them.
"""
