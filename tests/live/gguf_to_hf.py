"""A Qwen2 GGUF file as a Hugging Face model folder (bf16), so that vLLM can load it. Runs in vLLM's environment:

    python gguf_to_hf.py MODEL.gguf FOLDER

The weights are read with gguf-py itself: transformers 5.19 keeps GGUF weights packed and wants accelerate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

_TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_BLOCK = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def main() -> None:
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    from gguf import GGUFReader
    from safetensors.torch import save_file

    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    reader = GGUFReader(str(source))
    if _field(reader, "general.architecture") != "qwen2":
        sys.exit("only the qwen2 architecture is known here")
    weights = _weights(reader)
    save_file(weights, unfinished / "model.safetensors", metadata={"format": "pt"})
    rows = weights["model.embed_tokens.weight"].shape[0]
    _write_config(reader, unfinished, rows, tied="lm_head.weight" not in weights)
    _write_tokenizer(source, unfinished)
    (unfinished / "chat_template.jinja").write_text(_field(reader, "tokenizer.chat_template"))
    unfinished.rename(target)


def _field(reader: Any, key: str) -> Any:
    field = reader.fields[key]
    value = field.parts[field.data[0]]
    return bytes(value).decode() if field.types[-1].name == "STRING" else value[0].item()


def _weights(reader: Any) -> dict[str, Any]:
    import torch
    from gguf.quants import dequantize

    weights = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        weights[_name(tensor.name)] = values.to(torch.bfloat16).contiguous()
    return weights


def _name(name: str) -> str:
    if name in _TOP:
        return _TOP[name]
    block, part, kind = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name).groups()  # type: ignore[union-attr]  # an unknown tensor must fail
    return f"model.layers.{block}.{_IN_BLOCK[part]}.{kind}"


def _write_config(reader: Any, folder: Path, rows: int, *, tied: bool) -> None:
    from transformers import Qwen2Config

    def of(key: str) -> Any:
        return _field(reader, f"qwen2.{key}")

    end = _field(reader, "tokenizer.ggml.eos_token_id")
    config = Qwen2Config(
        vocab_size=rows,
        hidden_size=of("embedding_length"),
        intermediate_size=of("feed_forward_length"),
        num_hidden_layers=of("block_count"),
        num_attention_heads=of("attention.head_count"),
        num_key_value_heads=of("attention.head_count_kv"),
        max_position_embeddings=of("context_length"),
        rms_norm_eps=of("attention.layer_norm_rms_epsilon"),
        rope_theta=float(of("rope.freq_base")),
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=end,
        use_sliding_window=False,
    )
    config.architectures = ["Qwen2ForCausalLM"]
    data = config.to_dict() | {"dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(data, indent=1, default=str))


def _write_tokenizer(source: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.save_pretrained(folder)
    ends = [tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))


if __name__ == "__main__":
    main()
