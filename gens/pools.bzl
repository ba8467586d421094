"""The pools: selections with a name, which nodes hold of each generation (`--pool NAME`)."""

# Patterns of names of environments and toolkits: `*` stands for any characters, `?` for one. Each must match something of a
# generation. A pool may change at any time: what a node has beyond its selection stays until a prune is asked to remove it.
POOLS = {
    # Drivers from 525 on: the builds of CUDA 12.
    "cuda12": ["python?.*-cu12?", "python?.??", "cuda12.*", "cudnn*-cuda12"],
    # Drivers from 580 on: the builds of CUDA 13.
    "cuda13": ["python?.*-cu13?", "python?.??", "cuda13.*", "cudnn*-cuda13"],
}
