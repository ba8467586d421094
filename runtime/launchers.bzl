"""The launchers: what people type, in a process that no entrypoint has activated.

None has the name of what images get from elsewhere and use while they are built, where there is no environment (uv, ninja).
"""

# Python 3.N that a generation has or may get.
_MINORS = range(8, 17)

# By folder.
LAUNCHERS = {
    # On the PATH that every shell, login and su begin with.
    "/usr/local/bin": (
        ["python", "python3", "pip", "pip3"] +
        ["python3.%d" % minor for minor in _MINORS] +
        ["pip3.%d" % minor for minor in _MINORS] +
        # Of other packages that environments have.
        ["cython", "cythonize", "f2py", "isympy", "torchrun", "wheel"] +
        # Of packages that models bring in a virtual environment on top.
        [
            "accelerate",
            "deepspeed",
            "gunicorn",
            "hf",
            "huggingface-cli",
            "ipython",
            "jupyter",
            "pytest",
            "tensorboard",
            "uvicorn",
            "vllm",
        ]
    ),
    # On the image's PATH, and taken off it by an activation: builds take an `nvcc` that is there for a toolkit that is there.
    "/opt/monobase/bin": [
        "cu++filt",
        "cuobjdump",
        "fatbinary",
        "nvcc",
        "nvdisasm",
        "nvlink",
        "nvprune",
        "ptxas",
    ],
}
