"""Makes libraries that replace those of NVIDIA's driver while programs are linked without a driver.

Enters: a list of symbols. Leaves: a shared object (ELF) that exports them, whose functions return an error.
"""
