"""All the dialects, by name."""

from tests.wire.desktop import LmStudio, Ollama
from tests.wire.dialect import Dialect
from tests.wire.litellm import LiteLlm
from tests.wire.llamacpp import LlamaCpp, LlamaCppPython
from tests.wire.sglang import SGLang
from tests.wire.tensorrt import TensorRT
from tests.wire.vllm import Nim, Vllm, Vllm20

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Vllm20(),
        Vllm(),
        SGLang(),
        TensorRT(),
        Nim(),
        LlamaCpp(),
        LlamaCppPython(),
        Ollama(),
        LmStudio(),
        LiteLlm(),
    )
}
