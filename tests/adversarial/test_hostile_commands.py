"""Commands that try to break out, to spy, to exhaust or to outlive: each must fail, and the next command must work."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.base import Sandbox
from tests.sandboxes import SMALL, own_python, sleepers, text

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("still_works")]


async def python(box: Sandbox, code: str, timeout: float = 20) -> str:
    return text(await box.run("python3 -", timeout=timeout, stdin=code.encode()))


# Exhausting


async def test_a_fork_bomb_stops_at_the_limit(box: Sandbox) -> None:
    bomb = """
import os, time
made = 0
try:
    for _ in range(5000):
        if os.fork() == 0:
            os.setsid()
            time.sleep(100)
        made += 1
except OSError as error:
    print(made, error.strerror, flush=True)
"""
    made, _, problem = (await python(box, bomb)).partition(" ")
    assert int(made) <= SMALL.processes
    assert problem == "Resource temporarily unavailable"


async def test_processes_that_respawn_each_other_are_gone_at_the_deadline(box: Sandbox) -> None:
    storm = "f() { setsid sleep 1030.1 & f & f & wait; }; trap '' TERM INT HUP; f; f; sleep 1030.2"
    result = await box.run(f"exec 2>/dev/null; {storm}", timeout=1)
    assert result.timed_out
    assert result.seconds < 20
    assert not sleepers("1030.")


async def test_filling_shared_memory_ends_at_its_size(box: Sandbox) -> None:
    fill = "for i in $(seq 9); do head -c 20M /dev/zero > /dev/shm/f$i; done; rm -f /dev/shm/f*"
    assert "No space left" in text(await box.run(fill, timeout=20))


async def test_endless_output_is_cut_and_costs_no_memory(box: Sandbox) -> None:
    result = await box.run("yes & yes >&2 & wait", timeout=20)
    assert result.killed == "output"
    assert len(result.text()) < SMALL.output_bytes + 200


async def test_a_pipe_that_nobody_reads_is_no_escape(box: Sandbox) -> None:
    script = (
        "mkfifo /tmp/pipe; (yes > /tmp/pipe &); read -t 100 line < /dev/zero; cat /dev/zero | sleep 1031.1"
    )
    result = await box.run(script, timeout=1)
    assert result.timed_out
    assert not sleepers("1031.")
    assert (await box.run("rm /tmp/pipe", timeout=10)).ok


# Outliving


async def test_waiting_for_input_ends_at_once(box: Sandbox) -> None:
    result = await box.run("read line; echo status $?; cat; python3 -c 'input()' 2>&1 | tail -1", timeout=10)
    assert text(result).splitlines() == ["status 1", "EOFError: EOF when reading a line"]


async def test_signals_that_are_ignored_do_not_help(box: Sandbox) -> None:
    result = await box.run("trap '' TERM INT HUP QUIT XCPU; while :; do :; done", timeout=0.5)
    assert result.timed_out
    assert result.seconds < 5


async def test_daemons_do_not_survive(box: Sandbox) -> None:
    daemon = """
import os, signal, time
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    if os.fork():
        os._exit(0)
    os.setsid()
for fd in range(100):
    try:
        os.close(fd)
    except OSError:
        pass
os.execvp("sleep", ["sleep", "1032.1"])
"""
    result = await box.run("python3 - ; echo done", timeout=10, stdin=daemon.encode())
    assert text(result) == "done"
    assert not sleepers("1032.")


async def test_a_command_that_kills_everything_it_can_hurts_only_itself(box: Sandbox) -> None:
    neighbour = subprocess.Popen(["sleep", "60"], user=box.workspace.uid if os.getuid() == 0 else None)
    try:
        script = f"kill -9 {neighbour.pid}; kill -9 1; kill -9 $PPID; kill -9 -1; echo alive"
        result = await box.run(script, timeout=10)
        assert neighbour.poll() is None
        assert not result.timed_out
    finally:
        neighbour.kill()
        neighbour.wait()


async def test_nothing_planted_in_the_home_directory_runs_later(box: Sandbox) -> None:
    plant = r"""
for file in .bashrc .profile .bash_profile .bash_login .bash_logout .zshrc; do echo 'echo planted' > ~/$file; done
mkdir -p ~/bin; printf '#!/bin/sh\necho planted\n' > ~/bin/ls; chmod +x ~/bin/ls
export BASH_ENV=~/.bashrc PATH=~/bin:$PATH LD_PRELOAD=/tmp/planted.so; alias pwd='echo planted'
(crontab -l; echo '* * * * * echo planted') 2>/dev/null | crontab - 2>/dev/null; echo 'echo planted' | at now 2>/dev/null
true"""
    assert (await box.run(plant, timeout=10)).ok
    assert "planted" not in text(await box.run("ls; pwd; echo $LD_PRELOAD", timeout=10))
    await box.reset()
    assert "planted" not in text(await box.run("cat ~/.bashrc 2>&1", timeout=10))


# Output


async def test_bytes_that_are_no_text_become_text(box: Sandbox) -> None:
    result = await box.run(r"head -c 100000 /dev/urandom; printf 'a\0b\377\233\33[2J'", timeout=10, cap=1000)
    shown = result.text()
    assert json.loads(json.dumps(shown)) == shown
    assert shown.encode("utf-8").decode() == shown
    assert result.total_bytes == 100000 + 9


# The network


@contextmanager
def service(family: int, address: tuple[str, int] | str) -> Iterator[tuple[socket.socket, list[str]]]:
    """Something on this machine that answers, and a list of those who called."""
    callers: list[str] = []
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(0.1)
        over = threading.Event()

        def answer() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                callers.append("somebody")
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener, callers
        finally:
            over.set()
            thread.join()


CALL = """
import socket, sys
for address in {addresses!r}:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, kind) as s:
            s.settimeout(2)
            try:
                s.connect(tuple(address))
                s.send(b"hello")
                print("REACHED" if kind == socket.SOCK_STREAM or address[0] not in ("127.0.0.1", "::1") else "nobody")
            except OSError as error:
                print(error.strerror or error)
try:
    print("REACHED", socket.getaddrinfo("example.com", 80))
except OSError as error:
    print("no names")
"""


async def test_no_address_can_be_reached(box: Sandbox) -> None:
    addresses = [["1.1.1.1", 53], ["169.254.169.254", 80], ["172.17.0.1", 80], ["2606:4700:4700::1111", 53]]
    answer = await python(box, CALL.format(addresses=addresses))
    assert "REACHED" not in answer
    assert answer.count("unreachable") >= 2 * len(addresses) - 2
    assert answer.endswith("no names")


async def test_services_of_this_machine_cannot_be_reached(box: Sandbox) -> None:
    with service(socket.AF_INET, ("0.0.0.0", 0)) as (listener, callers):
        port = listener.getsockname()[1]
        own = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
        answer = await python(
            box, CALL.format(addresses=[["127.0.0.1", port], *([host, port] for host in own)])
        )
    assert "REACHED" not in answer
    assert callers == []


async def test_abstract_sockets_of_this_machine_cannot_be_reached(box: Sandbox) -> None:
    name = f"\0coder-test-{os.getpid()}"
    with service(socket.AF_UNIX, name) as (_, callers):
        code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({name!r}); print('REACHED')"
        answer = await python(box, code)
    assert "ConnectionRefusedError" in answer
    assert callers == []


async def test_work_cannot_be_carried_out(box: Sandbox) -> None:
    script = "git push https://example.com/x.git HEAD; git clone ssh://git@example.com/x; git push ext::'sh -c true' HEAD"
    answer = text(await box.run(script, timeout=20))
    assert answer.count("not allowed") == 3
    assert (
        text(await box.run("git clone -q . /tmp/copy && ls /tmp/copy; rm -rf /tmp/copy", timeout=20))
        == "calc.py"
    )


# Spying


async def test_nothing_of_the_hosts_environment_is_inside(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    everywhere = "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"
    assert "hunter2" not in text(await box.run(everywhere, timeout=10))


async def test_the_callers_variables_are_not_shown_to_other_programs(box: Sandbox) -> None:
    script = "cat /proc/1/environ /proc/1/cmdline | tr '\\0' '\\n'; echo; echo got $GIVEN"
    answer = text(await box.run(script, timeout=10, env={"GIVEN": "swordfish"}))
    assert answer.count("swordfish") == 1
    assert answer.endswith("got swordfish")


async def test_homes_are_not_there(box: Sandbox) -> None:
    own = Path.home()
    shown = {mount.target for mount in own_python(box.workspace).mounts}  # a Python, at its own place
    allowed = {path.relative_to(own).parts[0] for path in shown if path.is_relative_to(own)}
    assert set(text(await box.run(f"ls -A {own} 2>/dev/null", timeout=10)).split()) <= allowed
    secrets = "/etc/shadow /etc/pip.conf /etc/npmrc ~/.ssh ~/.aws ~/.docker ~/.netrc"
    answer = text(await box.run(f"cat {secrets} {own}/.ssh", timeout=10))
    assert len([line for line in answer.splitlines() if "No such" in line or "denied" in line]) == 8


async def test_no_control_socket_is_there(box: Sandbox) -> None:
    script = "ls -d /run/docker.sock /var/run/docker.sock /run/containerd /run/podman /run/dbus /run/user 2>/dev/null"
    assert text(await box.run(f"{script}; find / -xdev -type s 2>/dev/null", timeout=20)) == ""


async def test_files_of_this_machine_are_not_there(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("hunter2")
    state = box.workspace.root.parent
    script = f"cat {tmp_path}/private; ls {state}; cat /proc/1/root{tmp_path}/private; cat /workspace/../{tmp_path}/private"
    answer = text(await box.run(script, timeout=10))
    assert "hunter2" not in answer
    assert "shadow.git" not in answer


# Breaking out


async def test_the_kernels_controls_cannot_be_written(box: Sandbox) -> None:
    paths = [
        "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
        "/sys/kernel/uevent_helper", "/sys/fs/cgroup/x", "/sys/fs/cgroup/memory/cgroup.procs",
        "/sys/fs/cgroup/release_agent", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups",
    ]  # fmt: skip
    script = "; ".join(f"(echo 1 > {path}) 2>/dev/null && echo WROTE {path}" for path in paths)
    assert "WROTE" not in text(await box.run(script, timeout=10))


async def test_devices_are_harmless_and_none_can_be_made(box: Sandbox) -> None:
    script = """
for node in mem kmem port kmsg kvm vda sda fuse net/tun vhost-vsock loop0; do test -e /dev/$node && echo HAS $node; done
mknod /tmp/disk b 254 0 && echo MADE; mknod /workspace/mem c 1 1 && echo MADE
ls /dev | grep -vxE 'core|fd|full|mqueue|null|ptmx|pts|random|shm|stderr|stdin|stdout|tty|urandom|zero|console'
"""
    answer = text(await box.run(script, timeout=10)).splitlines()
    assert [line for line in answer if "Operation not permitted" not in line] == []


async def test_namespaces_and_mounts_are_refused(box: Sandbox) -> None:
    script = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, *arguments):
    ctypes.set_errno(0)
    print(name, getattr(libc, name)(*arguments), os.strerror(ctypes.get_errno()))
attempt("unshare", 0x10000000)
attempt("unshare", 0x00020000)
attempt("mount", b"none", b"/tmp", b"tmpfs", 0, None)
attempt("umount2", b"/workspace", 2)
attempt("chroot", b"/tmp")
attempt("pivot_root" if hasattr(libc, "pivot_root") else "chroot", b"/tmp", b"/tmp")
attempt("setns", os.open("/proc/1/ns/mnt", os.O_RDONLY), 0)
attempt("setns", os.open("/proc/1/ns/user", os.O_RDONLY), 0)
attempt("ptrace", 16, 1, 0, 0)
"""
    lines = (await python(box, script)).splitlines()
    refusals = [line for line in lines if line.endswith("-1 Operation not permitted")]
    # Docker's first process belongs to another user: its namespaces cannot even be opened
    forbidden = ("unshare", "mount", "umount2", "chroot", "pivot_root", "setns", "ptrace")
    assert refusals == [line for line in lines if line.split()[0] in forbidden]
    assert len(refusals) >= 6


async def test_nobody_becomes_root(box: Sandbox) -> None:
    script = """
cp /bin/bash shell; chmod 6755 shell; ./shell -p -c 'id -u'
for call in 'setuid(0)' 'setgid(0)' 'setgroups([0])'; do python3 -c "import os; os.$call" 2>/dev/null && echo BECAME; done
su -c 'echo BECAME' 2>&1 </dev/null; sudo -n echo BECAME 2>&1
grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status
"""
    answer = text(await box.run(script, timeout=30))
    assert answer.splitlines()[0] == str(box.workspace.uid)
    assert "BECAME" not in answer
    assert "CapEff:\t0000000000000000" in answer
    assert "CapBnd:\t0000000000000000" in answer
    assert "NoNewPrivs:\t1" in answer
    left = (box.workspace.root / "shell").stat()
    assert left.st_uid == box.workspace.uid, "a set-uid file may be its maker's, never root's"
    await box.run("rm shell", timeout=10)


async def test_the_system_inside_is_read_only(box: Sandbox) -> None:
    places = "/etc/passwd /etc/new /usr/bin/new /usr/lib/new /bin/new /new /home/new /opt/new /dev/new"
    script = "; ".join(f"(echo x >> {place}) 2>/dev/null && echo WROTE {place}" for place in places.split())
    assert "WROTE" not in text(await box.run(script, timeout=10))


async def test_settings_of_the_machine_cannot_be_changed(box: Sandbox) -> None:
    script = """
exec 2>/dev/null
date -s 2001-01-01 && echo CHANGED time
hostname evil && echo CHANGED name
nice -n -5 true 2>&1 | grep -q . || echo CHANGED priority
touch f; chattr +i f && echo CHANGED file
renice -n -5 $$ && echo CHANGED priority
ulimit -f unlimited && echo CHANGED limit
true
"""
    assert "CHANGED" not in text(await box.run(script, timeout=10))


async def test_a_terminal_cannot_be_typed_into(box: Sandbox) -> None:
    script = """
import errno, fcntl, os, pty
print("controlling", os.path.exists("/dev/tty") and not os.system("true </dev/tty 2>/dev/null"))
master, slave = pty.openpty()
try:
    fcntl.ioctl(slave, 0x5412, b"x")
    print("TYPED")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    assert (await python(box, script)).splitlines()[-1] == "EPERM"
    assert "controlling True" not in await python(box, script)


async def test_no_descriptor_of_ours_is_left_open(box: Sandbox) -> None:
    answer = await python(box, "import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd')))")
    assert json.loads(answer) in ([0, 1, 2], [0, 1, 2, 3])
    where = await python(box, "import os; print([os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1, 2)])")
    assert "/" not in where.replace("/memfd:stdin (deleted)", "")
