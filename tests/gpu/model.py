"""Imports Torch, uses the GPU, and prints the results as one line of JSON: the model of the check."""

import importlib
import json
import os
import time
from typing import Any


def main() -> None:
    """Run the model."""
    began = time.monotonic()
    torch = importlib.import_module("torch")

    seen: dict[str, object] = {
        "import_s": round(time.monotonic() - began, 2),
        "torch": torch.__version__,
        "file": torch.__file__,
        "uid": os.getuid(),
        "cuda": torch.cuda.is_available(),
        "writable": os.access(os.environ["VIRTUAL_ENV"], os.W_OK),
        "environment": {
            name: os.environ.get(name)
            for name in ("VIRTUAL_ENV", "CUDA_HOME", "LD_LIBRARY_PATH", "LIBRARY_PATH", "TRITON_CACHE_DIR")
        },
    }
    if seen["cuda"]:
        seen |= _on_the_gpu(torch)
    with open("/proc/self/maps") as maps:  # noqa: PTH123 (nothing else is needed of pathlib)
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if len(line.split(maxsplit=5)) == 6}
    names = ("/libcu", "/libnv", "/libtorch", "/nvidia/")
    libraries = (path for path in mapped if ".so" in path)
    seen["libraries"] = sorted(path for path in libraries if any(name in path for name in names))
    print(json.dumps(seen))


def _on_the_gpu(torch: Any) -> dict[str, object]:  # noqa: ANN401 (no checker knows torch here)
    functional = torch.nn.functional
    left, right = (torch.randn(1024, 1024) for _ in range(2))
    images, kernel = torch.randn(4, 8, 64, 64), torch.randn(16, 8, 3, 3)

    def error(on_gpu: Any, on_cpu: Any) -> float:  # noqa: ANN401
        return float((on_gpu.cpu() - on_cpu).abs().max() / on_cpu.abs().max())

    found: dict[str, object] = {
        "device": torch.cuda.get_device_name(0),
        "capability": list(torch.cuda.get_device_capability(0)),
        "architectures": torch.cuda.get_arch_list(),
        "cudnn": torch.backends.cudnn.version(),
        "matmul_error": error(left.cuda() @ right.cuda(), left @ right),
        "convolution_error": error(
            functional.conv2d(images.cuda(), kernel.cuda()), functional.conv2d(images, kernel)
        ),
    }
    try:
        compiled = torch.compile(lambda x: torch.sin(x) * 2 + x)
        value = torch.randn(4096)
        found["compile_error"] = error(compiled(value.cuda()), torch.sin(value) * 2 + value)
    except Exception as problem:
        found["compile_error"] = f"{type(problem).__name__}: {problem}"[-2000:]
    return found


if __name__ == "__main__":
    main()
