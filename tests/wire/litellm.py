"""LiteLLM's proxy 1.109, read in its sources, in front of some vLLM."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.wire.base import Answer, Piece, WireServer
from tests.wire.dialect import Dialect


class LiteLlm(Dialect):
    name = "litellm"
    backend = "litellm"
    version = "1.109.1"
    owner = "openai"
    model = "nemotron-3-super"
    headers: ClassVar[dict[str, str]] = {"x-litellm-version": "1.109.1", "x-litellm-call-id": "7d0f1c"}
    loading = "503"

    def get(self, path: str, server: WireServer) -> Answer | None:
        match path:
            case "/health/liveliness":
                return Answer(200, {"status": "I'm alive!"})
            case "/model/info":  # what the proxy's configuration says, no measurement
                info = {"max_input_tokens": server.context, "mode": "chat"}
                return Answer(200, {"data": [{"model_name": self.model, "model_info": info}]})
        return super().get(path, server)

    def error(self, message: str, status: int = 400) -> Answer:
        """The code is a string."""
        error = {"message": message, "type": None, "param": None, "code": str(status)}
        return Answer(status, {"error": error})

    def unknown_model(self, name: str) -> Answer:
        return self.error(
            f"/chat/completions: Invalid model name passed in model={name}. Call `/v1/models` to view"
            " available models for your key."
        )

    def unknown_field(self, field: str) -> Answer:
        return self.error(
            f"litellm.UnsupportedParamsError: hosted_vllm does not support parameters: ['{field}'], for"
            f" model={self.model}. To drop these, set `litellm.drop_params=True` or for proxy:"
            " `litellm_settings: drop_params: true`."
        )

    def too_long(self, prompt: int, limit: int) -> Answer:
        return self.error(
            "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: OpenAIException"
            f" - This model's maximum context length is {limit} tokens. However, your prompt contains at least"
            f" {limit + 1} input tokens. Received Model Group={self.model}"
        )

    def loading_answer(self) -> Answer:
        """The proxy itself is up; what stands behind it is not."""
        return self.error(
            "litellm.ServiceUnavailableError: Hosted_vllmException - Connection error.. Received Model"
            f" Group={self.model}",
            503,
        )

    def death(self) -> dict[str, Any] | None:
        """The error of what stands behind comes as an event."""
        message = "litellm.APIError: APIError: Hosted_vllmException - peer closed connection without sending complete message body"
        return {"error": {"message": message, "type": None, "param": None, "code": "500"}}

    def frame(self, piece: Piece) -> dict[str, Any]:
        delta = piece.delta | ({"provider_specific_fields": None} if piece.thinking else {})
        return self.envelope([{"index": 0, "delta": delta, "finish_reason": piece.finish}])

    def last_chunk(
        self, body: dict[str, Any], prompt: int, written: int, reasoned: int, server: WireServer
    ) -> dict[str, Any] | None:
        """The chunk with the usage has a choice, and an empty delta in it: litellm issue 28735."""
        chunk = super().last_chunk(body, prompt, written, reasoned, server)
        return None if chunk is None else chunk | {"choices": [{"index": 0, "delta": {}}]}
