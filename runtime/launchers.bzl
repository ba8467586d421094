"""The launchers: commands that users type in a process that is not activated.

Commands that Dockerfiles use have none (uv, ninja): while an image is built there is no environment.
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
        # Of packages of stacks, or that models bring in a virtual environment on top.
        [
            "accelerate",
            "deepspeed",
            "diffusers-cli",
            "gunicorn",
            "hf",
            "huggingface-cli",
            "ipython",
            "jupyter",
            "lightning",
            "lmdeploy",
            "pytest",
            "sglang",
            "tensorboard",
            "transformers",
            "trl",
            "uvicorn",
            "vllm",
            "yolo",
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
