"""The generations that nodes hold, oldest first. A published one is never changed: add another (README.md)."""

load(":defs.bzl", "monogen")
load(":stack.bzl", "stack")

# What people build wheels of their own with.
_SEED_PACKAGES = ["cython", "packaging", "pip", "setuptools", "wheel"]

# The newest Torch, for stacks that follow it. No torchaudio works beside it (UNSUITABLE in torch.bzl).
_TORCH_2_15 = {"torch": "2.15.0", "torchvision": "0.29.2"}
_TORCH_2_14 = {"torch": "2.14.1", "torchvision": "0.29.2", "torchaudio": "2.11.0"}

PROD_MONOGENS = [
    monogen(
        id = 0,
        cuda = {"12.1": "12.1.1", "12.4": "12.4.1"},
        cudnn = {"8": "8.9.7.29", "9": "9.1.0.70"},
        python = {"3.10": "3.10.22", "3.11": "3.11.18", "3.12": "3.12.16"},
        torch = ["2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0"],
        packages = _SEED_PACKAGES,
        exclude_newer = "2026-11-01T00:00:00Z",
    ),
    monogen(
        id = 1,
        cuda = {"12.1": "12.1.1", "12.4": "12.4.1", "12.6": "12.6.3", "12.8": "12.8.1"},
        cudnn = {"8": "8.9.7.29", "9": "9.10.2.21"},
        python = {"3.10": "3.10.22", "3.11": "3.11.18", "3.12": "3.12.16", "3.13": "3.13.18"},
        torch = ["2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0", "2.7.1", "2.8.0", "2.9.1", "2.10.0"],
        absences = [
            "torch==2.2.2 for 3.13",
            "torch==2.3.1 for 3.13",
            "torch==2.4.1 for 3.13",
            "torchvision==0.20.1 for 3.13",
            "torchaudio==2.5.1 for 3.13",
        ],
        packages = _SEED_PACKAGES,
        exclude_newer = "2026-11-01T00:00:00Z",
    ),
    monogen(
        id = 2,
        cuda = {"12.8": "12.8.1", "13.0": "13.0.3", "13.2": "13.2.2"},
        cudnn = {"9": "9.26.0.51"},
        python = {"3.11": "3.11.18", "3.12": "3.12.16", "3.13": "3.13.18", "3.14": "3.14.10"},
        torch = ["2.8.0", "2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.1", "2.15.0"],
        # As it was locked, when only companions that require this very Torch were known.
        companions = {
            "2.12.1": {"torchaudio": None},
            "2.13.0": {"torchaudio": None},
            "2.14.1": {"torchvision": "0.29.1", "torchaudio": None},
            "2.15.0": {"torchvision": None, "torchaudio": None},
        },
        absences = [
            "torch==2.8.0 for 3.14",
            "torchaudio==2.12.1 for 3.11",
            "torchaudio==2.13.0 for 3.11",
            "torchaudio==2.14.1 for 3.11",
            "torchvision==0.30.0 for 3.11",
            "torchaudio==2.15.0 for 3.11",
        ],
        packages = _SEED_PACKAGES,
        exclude_newer = "2026-11-01T00:00:00Z",
    ),
    monogen(
        id = 3,
        # vLLM needs 2.31 (llguidance), SGLang 2.34.
        platforms = ["x86_64-manylinux_2_34", "aarch64-manylinux_2_34"],
        cuda = {"12.8": "12.8.1", "13.0": "13.0.3", "13.2": "13.2.2"},
        cudnn = {"9": "9.28.0.42"},
        python = {"3.11": "3.11.18", "3.12": "3.12.16", "3.13": "3.13.18", "3.14": "3.14.10", "3.15": "3.15.2"},
        torch = ["2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.0", "2.14.1", "2.15.0"],
        # For aarch64, the default index has CUDA builds of Torch from 13.0 on.
        machines = {"cuda12.8": ["x86_64"], "lmdeploy": ["x86_64"]},
        stacks = {
            "vllm": stack(
                python = ["3.11", "3.12", "3.13", "3.14"],
                pins = {
                    "torch": "2.14.0",
                    "torchvision": "0.29.0",
                    "torchaudio": "2.11.0",
                    "vllm": "0.33.0",
                    # Unpinned, Python 3.11 and 3.12 get 12.6, which forgot to require bindings of its own version.
                    "cuda-python": "13.4.4",
                },
            ),
            "sglang": stack(
                python = ["3.11", "3.12"],
                pins = dict(_TORCH_2_14, sglang = "0.5.23"),
            ),
            "lmdeploy": stack(
                python = ["3.11", "3.12", "3.13", "3.14"],
                pins = {"torch": "2.10.0", "lmdeploy": "0.18.0"},
            ),
            "train": stack(
                python = ["3.12", "3.13"],
                pins = dict(
                    _TORCH_2_15,
                    transformers = "5.24.0",
                    accelerate = "1.15.0",
                    peft = "0.21.2",
                    datasets = "5.2.0",
                    trl = "1.16.0",
                    bitsandbytes = "0.50.2",
                    torchao = "0.18.0",
                    lightning = "2.6.6",
                ),
            ),
            "diffusion": stack(
                python = ["3.12", "3.13"],
                pins = dict(
                    _TORCH_2_15,
                    torchcodec = "0.17.0",
                    xformers = "0.0.35",
                    diffusers = "0.42.1",
                    transformers = "5.24.0",
                    accelerate = "1.15.0",
                    safetensors = "0.8.0",
                    peft = "0.21.2",
                    sentencepiece = "0.2.3",
                    bitsandbytes = "0.50.2",
                    torchao = "0.18.0",
                ),
                machines = {"xformers": ["x86_64"]},
            ),
            "vision": stack(
                python = ["3.12", "3.13"],
                pins = dict(
                    _TORCH_2_15,
                    ultralytics = "8.4.190",
                    **{"opencv-python-headless": "5.0.0.93", "onnxruntime-gpu": "1.31.1"}
                ),
            ),
            "unsloth": stack(
                python = ["3.12"],
                pins = dict(_TORCH_2_14, unsloth = "2026.10.9"),
            ),
            "jax": stack(
                python = ["3.12", "3.13"],
                pins = {"jax[cuda13]": "0.12.0.1"},
                base = "2.15.0",
            ),
        },
        packages = _SEED_PACKAGES,
        exclude_newer = "2026-11-26T00:00:00Z",
    ),
]
