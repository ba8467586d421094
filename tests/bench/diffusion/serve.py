"""Serves a diffusion model: the code of the image that `//tests/bench:layer` measures."""

import base64
import io
import os

import torch
import uvicorn
from diffusers import DiffusionPipeline
from fastapi import FastAPI

pipeline = DiffusionPipeline.from_pretrained(os.environ["MODEL"], torch_dtype=torch.float16).to("cuda")


def draw(prompt: str, steps: int = 20) -> dict[str, str]:
    """Return a picture as PNG, in base64."""
    picture = io.BytesIO()
    pipeline(prompt, num_inference_steps=steps).images[0].save(picture, "PNG")
    return {"png": base64.b64encode(picture.getvalue()).decode()}


if __name__ == "__main__":
    app = FastAPI()
    app.add_api_route("/", draw)
    uvicorn.run(app, host="0.0.0.0", port=8080)  # noqa: S104 (of a container)
