"""Reads which releases of Torch, its companions, CUDA and cuDNN a package index serves.

Enters: an index. Leaves: `gens/releases.json`, from which the matrix of a generation is expanded.
"""
