"""What crosses folders: end-to-end tests, faults, benchmarks, and the index that they use."""
