#!/usr/bin/env bash
# Gets the real parts that the tests want: a Docker engine with the sandbox images, the small model, tmux, a browser.
# What cannot be had is no error here: the tests say in one line what they could not run.
#   prepare.sh PYTHON
set -uo pipefail
cd "$(dirname "$0")/.."
python="$1"
if [ "${CODER_TEST_DOCKER:-1}" != 0 ]; then
  if bash sandbox/images/start-engine.sh >/dev/null; then
    bash sandbox/images/build.sh || echo "prepare: the sandbox image could not be made" >&2
    for language in node rust; do
      bash sandbox/images/build.sh --with "$language" || echo "prepare: the image with $language could not be made" >&2
    done
  else
    echo "prepare: no Docker engine could be started" >&2
  fi
fi
for part in ${CODER_TEST_REQUIRE:-}; do
  case "$part" in
    docker | model | bubblewrap | browser) ;;
    *) bash tests/sandbox/engines.sh start "$part" >/dev/null || echo "prepare: $part could not be started" >&2 ;;
  esac
done
if [ "${CODER_TEST_MODEL:-1}" != 0 ]; then
  "$python" -m coder.model.weights || echo "prepare: the small model could not be fetched" >&2
fi
for program in tmux chromium; do
  if ! command -v "$program" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$program"; } >/dev/null 2>&1 ||
      echo "prepare: $program could not be installed" >&2
  fi
done
exit 0
