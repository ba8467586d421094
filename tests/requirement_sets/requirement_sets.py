"""Ten requirement sets as authors of models write them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequirementSet:
    """The requirements of one model.

    Attributes:
        name: As the report shows it.
        requirements: Lines of a requirements file.
        code: What the model does with them, without a network.
        options: Options of the lock.
        conflict: What the message of the lock must contain, for a set that conflicts with its base; else "".
        build: A project that the builder image compiles against the base, which must have its CUDA toolkit;
            else "".
    """

    name: str
    requirements: tuple[str, ...]
    code: str = ""
    options: tuple[str, ...] = ()
    conflict: str = ""
    build: str = ""


REQUIREMENT_SETS = (
    RequirementSet(
        "diffusers",
        ("diffusers", "transformers", "accelerate", "fastapi", "uvicorn"),
        "import diffusers, transformers, accelerate, fastapi, uvicorn\n"
        "from diffusers import UNet2DModel, DDPMScheduler\n"
        "unet = UNet2DModel(sample_size=8, block_out_channels=(32, 64),"
        " down_block_types=('DownBlock2D',) * 2, up_block_types=('UpBlock2D',) * 2)\n"
        "assert unet(torch.zeros(1, 3, 8, 8), 1).sample.shape == (1, 3, 8, 8)",
    ),
    RequirementSet(
        "transformers+peft",
        ("transformers", "peft"),
        "from peft import LoraConfig, get_peft_model\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "model = LlamaForCausalLM(LlamaConfig(vocab_size=99, hidden_size=16, intermediate_size=32,"
        " num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2))\n"
        "model = get_peft_model(model, LoraConfig(task_type='CAUSAL_LM', r=2))\n"
        "assert model(torch.zeros(1, 4, dtype=torch.long)).logits.shape == (1, 4, 99)",
    ),
    RequirementSet(
        "ultralytics",
        ("ultralytics", "opencv-python-headless"),
        "from ultralytics import YOLO\n"
        "assert len(YOLO('yolo11n.yaml').predict(torch.zeros(1, 3, 64, 64), verbose=False)) == 1",
    ),
    RequirementSet(
        "whisper",
        ("openai-whisper",),
        "import whisper\n"
        "assert whisper.log_mel_spectrogram(torch.zeros(16000)).shape[0] == 80\n"
        "assert whisper.tokenizer.get_tokenizer(multilingual=False).encode('a')",
    ),
    RequirementSet(
        "gradio",
        ("gradio",),
        "import gradio\ngradio.Interface(lambda text: text, 'text', 'text')",
        # gradio is against Pillow 13, which the base has: an override on purpose.
        options=("--override", "pillow"),
    ),
    RequirementSet("ray[serve]", ("ray[serve]",), "import ray\nfrom ray import serve"),
    RequirementSet(
        "lightning",
        ("lightning", "tensorboard"),
        "import lightning\nlightning.Trainer(max_epochs=0, logger=False, enable_checkpointing=False)",
    ),
    RequirementSet(
        "xgboost",
        ("xgboost", "scikit-learn", "pandas"),
        "import numpy, xgboost\n"
        "model = xgboost.XGBClassifier(n_estimators=2).fit(numpy.eye(4), [0, 1, 0, 1])\n"
        "assert model.predict(numpy.eye(4)).shape == (4,)",
        # xgboost for Python 3.11 requires the NCCL of CUDA 12, whatever Torch there is.
        options=("--override", "nvidia-nccl-cu12"),
    ),
    RequirementSet(
        "sentence-transformers",
        ("sentence-transformers",),
        "from sentence_transformers import SentenceTransformer, util\n"
        "assert util.cos_sim(torch.ones(1, 3), torch.ones(1, 3)).item() > 0.99",
    ),
    RequirementSet(
        "a set that conflicts",
        ("torchvision==0.20.1", "timm"),
        conflict="torchvision",
    ),
)
CUDA_EXTENSION = RequirementSet(
    "a CUDA extension",
    (),
    "from twice import _kernel\nassert callable(_kernel.twice)",
    build="tests/gpu/twice",
)
