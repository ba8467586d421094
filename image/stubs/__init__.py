"""Libraries that stand in for NVIDIA's driver when programs are linked where there is none.

Enters: a list of symbols. Leaves: a shared object (ELF) that has them, and whose functions return an error.
"""
