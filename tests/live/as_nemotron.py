"""A copy of the Qwen2.5 folder (the weights linked) that speaks Nemotron 3's wire format: <think> and </think> are
single tokens, on embedding rows that nothing uses, and the chat template renders Nemotron's way.

    python as_nemotron.py QWEN_FOLDER TEMPLATE TARGET
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

_TOKENS = {"<think>": 151667, "</think>": 151668}  # as in Qwen3; padding in Qwen2.5


def main() -> None:
    source, template, target = map(Path, sys.argv[1:4])
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.suffix == ".safetensors":
            os.link(file, target / file.name)
        else:
            shutil.copy(file, target / file.name)
    _add_tokens(target / "tokenizer.json")
    (target / "chat_template.jinja").write_text(template.read_text())
    config = json.loads((target / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (target / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def _add_tokens(file: Path) -> None:
    tokenizer: dict[str, Any] = json.loads(file.read_text())
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    for token, number in _TOKENS.items():
        for padding in [name for name, taken in vocabulary.items() if taken == number]:
            del vocabulary[padding]
        vocabulary[token] = number  # an added token that the vocabulary lacks gets another number on loading
        as_it_is = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        tokenizer["added_tokens"].append({"id": number, "content": token} | as_it_is)
    file.write_text(json.dumps(tokenizer, ensure_ascii=False))


if __name__ == "__main__":
    main()
