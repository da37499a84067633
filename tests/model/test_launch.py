"""Serving on one's own GPUs: the printed script is run by a real shell against stand-ins for the servers, and
nvidia-smi is a script on PATH that says what real ones say."""

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from coder.errors import UsageError
from coder.model.launch.gpus import read_gpus
from coder.model.launch.hardware import NAMED
from coder.model.launch.memory import GB, block_tokens, need
from coder.model.launch.run import launch

SERVERS = {"vllm": "vllm", "sglang": "sglang", "trtllm": "trtllm-serve"}
KEY_FLAGS = {
    "vllm": (
        "--enable-prefix-caching --mamba-cache-mode align --enable-prompt-tokens-details --enable-auto-tool-choice "
        "--tool-call-parser qwen3_coder --reasoning-parser nemotron_v3 --mamba-ssm-cache-dtype float32"
    ),
    "sglang": (
        "--reasoning-parser nemotron_3 --tool-call-parser qwen3_coder --enable-cache-report --enable-strict-thinking"
    ),
    "trtllm": "--reasoning_parser nano-v3 --tool_parser qwen3_coder --extra_llm_api_options coder-trtllm.yaml",
}
WEIGHTS = {
    "b200": "NVFP4",
    "h200": "FP8",
    "2xh100": "FP8",
    "4xa100": "BF16",
    "spark": "NVFP4",
    "rtxpro6000": "NVFP4",
}
H100 = "NVIDIA H100 80GB HBM3, 81559, 81008\n"
A100 = "NVIDIA A100-SXM4-80GB, 81920, 81200\n"
B200 = "NVIDIA B200, 183359, 182700\n"


class Machine:
    """A PATH of our own: what is put on it is installed here, nothing else is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "XDG_CACHE_HOME": str(folder / "cache")}

    def install(self, name: str, body: str) -> None:
        program = self.bin / name
        program.write_text(f"#!{sys.executable} -IS\n{textwrap.dedent(body)}")
        program.chmod(0o755)

    def install_server(self, name: str, status: int = 7) -> None:
        """It records how it was called and ends."""
        self.install(
            name,
            f"""\
            import json, os, sys
            with open({str(self.folder / "called.json")!r}, "w") as file:
                json.dump([sys.argv[1:], dict(os.environ)], file)
            sys.exit({status})
            """,
        )

    def has_gpus(self, answer: str, status: int = 0) -> None:
        body = f"import sys\nsys.stdout.write({answer!r})\nsys.exit({status})\n"
        self.install("nvidia-smi", body)

    def called(self) -> tuple[list[str], dict[str, str]]:
        words, environment = json.loads((self.folder / "called.json").read_text())
        return words, environment

    def coder(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "coder", "serve", *words],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | self.environment,
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def printed(backend: str, hardware: str = "auto", **options: object) -> str:
    said: list[str] = []
    assert launch(backend, hardware=hardware, say=said.append, **options) == 0  # type: ignore[arg-type] # any of them
    return "\n".join(said)


def holds(words: list[str], flags: str) -> bool:
    """Whether the flags stand among the words, each beside its value."""
    return f" {flags} " in f" {' '.join(words)} "


@pytest.mark.parametrize("hardware", NAMED)
@pytest.mark.parametrize("backend", SERVERS)
def test_what_is_printed_is_a_script_that_starts_the_server(
    backend: str, hardware: str, machine: Machine
) -> None:
    machine.install_server(SERVERS[backend])
    script = printed(backend, hardware)
    assert shlex.split(script.partition("EOF\n")[2] or script, comments=True)
    done = subprocess.run(["sh", "-eu"], input=script, text=True, cwd=machine.folder)
    assert done.returncode == 7
    words, environment = machine.called()
    assert f"nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-{WEIGHTS[hardware]}" in words
    for flag in KEY_FLAGS[backend].split(" --"):
        assert holds(words, f"--{flag.removeprefix('--')}")
    assert holds(words, "--host 127.0.0.1 --port 8000")
    # beside a prefix cache, speculative decoding corrupts what a hybrid model says
    assert not [word for word in words if "spec" in word.lower() or "disable-radix" in word]
    assert environment["DO_NOT_TRACK"] == "1"
    assert "HF_HUB_OFFLINE" not in environment
    assert "fits: " in script
    assert script.endswith("# then: coder doctor --base-url http://127.0.0.1:8000/v1")


@pytest.mark.parametrize("backend", SERVERS)
def test_every_flag_that_is_explained_is_in_the_command_and_the_unproven_ones_say_so(backend: str) -> None:
    script = printed(backend, "2xh100")
    comments = [line[2:] for line in script.splitlines() if line.startswith("# --")]
    assert len(comments) >= 7
    command = script[script.rindex("\n\n", 0, script.rindex("\n\n")) :]
    assert all(comment.partition(":")[0] in command for comment in comments)
    assert ("not verified" in script) == (backend != "vllm")


def test_tensorrt_keeps_a_state_to_find_a_prefix_again_and_no_speculation() -> None:
    options = printed("trtllm", "b200").partition("<<'EOF'\n")[2].partition("\nEOF\n")[0]
    lines = [line for line in options.splitlines() if not line.lstrip().startswith("#")]
    assert lines[0] == "kv_cache_config:"
    assert "  enable_block_reuse: true" in lines
    assert "    additional_snapshot_offsets_from_end: [0]" in lines
    assert "speculative" not in options


def test_a_longer_context_than_usual_is_allowed_by_name() -> None:
    assert "ALLOW" not in printed("vllm", "b200", context=262_144)
    assert "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1" in printed("vllm", "b200", context=1_048_576)
    assert "TLLM_ALLOW_LONG_MAX_MODEL_LEN=1" in printed("trtllm", "b200", context=1_048_576)


def test_an_open_address_is_warned_of() -> None:
    assert "careful" not in printed("vllm", "b200")
    script = printed("vllm", "b200", host="0.0.0.0", port=9000)
    assert "careful: whoever reaches 0.0.0.0 can use this model" in script
    assert script.endswith("http://127.0.0.1:9000/v1")
    assert printed("vllm", "b200", host="::1").endswith("http://[::1]:8000/v1")


def test_a_gpu_holds_its_part_of_the_sum() -> None:
    one = need(75 * GB, gpus=1, context=1000, requests=1, copies=1, cache_bytes=1)
    assert one.context == 1000 * 4096  # 8 layers, keys and values, 2 heads of 128
    assert one.states == 40 * (1_048_576 * 4 + 10_240 * 3 * 2)
    four = need(75 * GB, gpus=4, context=1000, requests=1, copies=1, cache_bytes=1)
    assert (four.weights, four.states) == (one.weights / 4, one.states / 4)
    assert four.context == one.context / 2  # two heads cannot be cut in four
    assert one.total == one.weights + one.context + one.states + one.working
    assert block_tokens(gpus=1, cache_bytes=1) == 8320
    assert block_tokens(gpus=1, cache_bytes=2) == 4160


def folder_of_weights(folder: Path, size: float, **settings: object) -> Path:
    folder.mkdir()
    with (folder / "model-00001-of-00001.safetensors").open("wb") as file:
        file.truncate(int(size))  # sparse: it takes no room
    (folder / "config.json").write_text(json.dumps({"model_type": "nemotron_h"} | settings))
    return folder


def test_local_weights_are_counted_and_nothing_is_fetched(machine: Machine) -> None:
    machine.install_server("vllm")
    weights = folder_of_weights(machine.folder / "my Nemotron-3-Super's FP8", 90 * GB)
    script = printed("vllm", "b200", model=str(weights))
    assert "weights 90.0" in script
    assert "not verified: FP8 weights; NVFP4 suits this hardware" in script
    subprocess.run(["sh", "-eu"], input=script, text=True)
    words, environment = machine.called()
    assert words[:4] == ["serve", str(weights), "--served-model-name", weights.name]
    assert environment["HF_HUB_OFFLINE"] == environment["VLLM_NO_USAGE_STATS"] == "1"


def test_the_precision_is_read_from_the_weights_own_settings(tmp_path: Path) -> None:
    weights = folder_of_weights(tmp_path / "model", 75 * GB, quantization_config={"quant_algo": "NVFP4"})
    script = printed("vllm", "2xh100", model=str(weights))
    assert "Nemotron 3 Super (NVFP4)" in script
    assert "--profile nemotron-3-super" in script  # the folder's name does not tell


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/no/such/folder", "neither a folder nor a model's name"),
        ("--api-key", "neither a folder"),
        ("a/b; reboot", "neither a folder"),
        ("a/b\nreboot", "neither a folder"),
        ("../..", "neither a folder|holds no .safetensors"),
    ],
)
def test_a_model_that_cannot_be_named_is_refused(model: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        printed("vllm", "b200", model=model)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    weights = folder_of_weights(tmp_path / "model", 1, model_type="qwen2")
    with pytest.raises(UsageError, match="kind 'qwen2'"):
        printed("vllm", "b200", model=str(weights))


@pytest.mark.parametrize(
    "options",
    [{"port": 0}, {"port": 70_000}, {"context": 1}, {"context": -5}, {"host": "a b"}, {"host": "-x"}],
)
def test_a_value_out_of_range_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(options))}"):
        printed("vllm", "b200", **options)


def test_the_fewest_gpus_that_hold_the_model_are_taken(machine: Machine) -> None:
    machine.has_gpus(H100 * 4)
    script = printed("vllm")
    assert "--tensor-parallel-size 2" in script
    assert "fits: 73.0 of 77.0 GB usable on GPU 0, NVIDIA H100 80GB HBM3 (84.9 of 85.5 GB free)" in script
    assert "CUDA_VISIBLE_DEVICES=0,1 " in script
    assert "2 more of this machine's GPUs are left alone" in script


def test_of_mixed_gpus_equal_ones_serve_and_the_busiest_does_not(machine: Machine) -> None:
    busy = "NVIDIA H100 80GB HBM3, 81559, 9000\n"
    machine.has_gpus("NVIDIA GeForce RTX 3060, 12288, 12000\n" + H100 + busy + A100 + H100)
    script = printed("vllm")
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=1,4 " in script
    assert script.count("fits: ") == 2


def test_vllm_is_told_to_take_no_more_than_is_free(machine: Machine) -> None:
    machine.has_gpus("NVIDIA B200, 183359, 128352\n")
    assert "--gpu-memory-utilization 0.70 " in printed("vllm")


def test_what_does_not_fit_is_status_2_and_says_what_would(machine: Machine) -> None:
    machine.has_gpus("NVIDIA H100 80GB HBM3, 81559, 81008\nNVIDIA H100 80GB HBM3, 81559, 60000\n")
    done = machine.coder("--backend", "vllm", "--hardware", "auto")
    assert done.returncode == 2
    assert "does not fit: 73.0 of 62.4 GB usable on GPU 1" in done.stdout
    assert "coder: the model does not fit: 73.0 of 62.4 GB usable on GPU 1" in done.stderr
    assert "the same GPUs with nothing else on them: 23 GB of GPU 1 are in use" in done.stderr
    assert "--model nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4" in done.stderr
    assert "--hardware b200, h200, 2xh100, 4xa100, spark" in done.stderr
    assert machine.coder("--backend", "vllm", "--force").returncode == 0


def test_a_shorter_context_is_offered_where_it_would_do(machine: Machine) -> None:
    machine.has_gpus("NVIDIA RTX PRO 6000 Blackwell Server Edition, 97887, 82000\n")
    with pytest.raises(UsageError) as caught:
        printed("vllm", context=1_048_576)
    assert "--context 262144" in caught.value.hint


def test_a_gpu_without_memory_of_its_own_shares_the_machines(machine: Machine, tmp_path: Path) -> None:
    machine.has_gpus("NVIDIA GB10, [N/A], [N/A]\n")
    memory = tmp_path / "meminfo"
    memory.write_text("MemTotal:       127600748 kB\nMemAvailable:   118566368 kB\n")
    (gpu,) = read_gpus(memory=memory)
    assert (gpu.name, gpu.total, gpu.free) == ("NVIDIA GB10", 127600748 * 1024, 118566368 * 1024)
    with pytest.raises(UsageError, match="no GPU"):
        read_gpus(memory=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        ("", 0, "lists no GPU"),
        ("No devices were found\n", 0, "'No devices were found', which is no GPU"),
        ("NVIDIA H100, many, few\n", 0, "which is no GPU"),
        ("NVIDIA H100, 0, 0\n", 0, "which is no GPU"),
        ("\x1b]0;owned\x07,1,1,1\n", 0, "'.]0;owned.,1,1,1'"),
        ("Failed to initialize NVML: Driver/library version mismatch\n", 18, "status 18.: Failed to init"),
        ("NVIDIA GeForce RTX 3060, 12288, 12000\n", 0, "no recipe for 1 x NVIDIA GeForce RTX 3060"),
    ],
)
def test_an_answer_that_is_no_gpu_of_ours_is_a_sentence(
    answer: str, status: int, message: str, machine: Machine
) -> None:
    machine.has_gpus(answer, status)
    with pytest.raises(UsageError, match=message) as caught:
        printed("vllm")
    assert "--hardware: b200, h200, 2xh100, 4xa100, spark" in caught.value.hint


def test_an_nvidia_smi_that_hangs_is_given_up(machine: Machine) -> None:
    machine.install("nvidia-smi", "import subprocess\nsubprocess.run(['sleep', '60'])\n")
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"did not answer within 0\.5 s"):
        read_gpus(timeout=0.5)
    assert time.monotonic() - began < 30


def test_without_nvidia_smi_the_known_hardware_is_listed(machine: Machine) -> None:
    machine.environment["PATH"] = str(machine.bin)
    done = machine.coder("--backend", "sglang")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no nvidia-smi on this machine" in done.stderr
    assert "b200, h200, 2xh100, 4xa100, spark" in done.stderr


@pytest.mark.parametrize("backend", SERVERS)
def test_start_becomes_the_server_and_its_status(backend: str, machine: Machine) -> None:
    machine.has_gpus(B200)
    machine.install_server(SERVERS[backend], status=7)
    assert machine.coder("--backend", backend, "--start", "--port", "8123").returncode == 7
    words, environment = machine.called()
    assert holds(words, "--host 127.0.0.1 --port 8123")
    assert environment["DO_NOT_TRACK"] == "1"
    if backend == "trtllm":
        options = Path(words[words.index("--extra_llm_api_options") + 1])
        assert options.is_relative_to(machine.folder / "cache")
        assert "enable_block_reuse: true" in options.read_text()


def test_ctrl_c_reaches_the_server_itself(machine: Machine) -> None:
    machine.has_gpus(B200)
    machine.install(
        "vllm",
        """\
        import signal, sys
        signal.signal(signal.SIGINT, lambda *_: sys.exit(42))
        print("serving", flush=True)
        signal.pause()
        """,
    )
    with subprocess.Popen(
        [sys.executable, "-m", "coder", "serve", "--backend", "vllm", "--start"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | machine.environment,
    ) as server:
        assert server.stdout is not None
        assert "serving\n" in iter(server.stdout.readline, "")
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 42


def test_start_refuses_what_is_missing_or_does_not_fit(machine: Machine) -> None:
    machine.has_gpus("NVIDIA B200, 183359, 40000\n")
    machine.install_server("vllm", status=0)
    assert machine.coder("--backend", "vllm", "--start").returncode == 2
    assert not (machine.folder / "called.json").exists()
    assert machine.coder("--backend", "vllm", "--start", "--force").returncode == 0
    assert machine.called()
    machine.has_gpus(B200)
    done = machine.coder("--backend", "sglang", "--start")
    assert done.returncode == 2
    assert "SGLang is not installed: there is no sglang\nuv pip install sglang" in done.stderr


def test_start_on_named_hardware_wants_that_hardware(machine: Machine) -> None:
    machine.has_gpus(A100 * 2)
    machine.install_server("vllm", status=0)
    done = machine.coder("--backend", "vllm", "--hardware", "4xa100", "--start")
    assert done.returncode == 2
    assert "4xa100 wants 4 x NVIDIA A100-SXM4-80GB; this machine has 2 x NVIDIA A100" in done.stderr
    machine.has_gpus(A100 * 4)
    assert machine.coder("--backend", "vllm", "--hardware", "4xa100", "--start").returncode == 0
    assert holds(machine.called()[0], "--kv-cache-dtype auto")


@pytest.mark.parametrize(
    "words",
    [
        ["--start"],
        ["--hardware", "b200"],
        ["--force"],
        ["--backend", "vllm", "--threads", "2"],
        ["--backend", "vllm", "--slots", "4"],
    ],
)
def test_options_of_the_other_kind_of_server_are_refused(words: list[str], machine: Machine) -> None:
    done = machine.coder(*words)
    assert done.returncode == 2
    assert "--backend vllm, sglang or trtllm" in done.stderr or "for llama.cpp alone" in done.stderr
