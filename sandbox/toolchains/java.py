"""Java: a JDK, Maven and Gradle, and what they have downloaded; never their settings, which hold passwords."""

from __future__ import annotations

from pathlib import Path

from sandbox.interpreters import Mount, Unusable, is_system
from sandbox.toolchains.machine import Found, Machine, is_program

# name of the program, what shows that a directory is its installation
_BUILDERS = (("mvn", "boot"), ("gradle", "init.d"))


def find_java(machine: Machine) -> Found:
    """The JDK of JAVA_HOME or on PATH, the build programs on PATH, and their caches."""
    mounts: list[Mount] = []
    path: list[str] = []
    env = {"MAVEN_ARGS": "-o"}  # Maven 3.9; an older one needs the flag
    names: list[str] = []
    problems: list[str] = []
    for name, prefix in _installations(machine):
        try:
            mounts += machine.installation(prefix)
        except Unusable as problem:
            problems.append(str(problem))
            continue
        names.append(f"{name} from {prefix}")
        if name == "Java":
            env["JAVA_HOME"] = str(prefix)
        if not is_system(prefix):
            path.append(str(prefix / "bin"))
    mounts += _caches(machine)
    why = ", ".join(names) or "no Java"
    if problems:
        why = f"{why} (passed over: {'; '.join(problems)})"
    return Found(why=why, mounts=tuple(mounts), path=tuple(path), env=env)


def _installations(machine: Machine) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    home = _home(machine)
    if home is not None:
        found.append(("Java", home))
    for name, mark in _BUILDERS:
        program = machine.program(name)
        if program is not None and (prefix := program.resolve().parent.parent / mark).is_dir():
            found.append((name, prefix.parent))
    return found


def _home(machine: Machine) -> Path | None:
    named = Path(machine.environ.get("JAVA_HOME", ""))
    if named.is_absolute() and is_program(named / "bin" / "java"):
        return named
    program = machine.program("java")
    if program is None or not is_program(real := program.resolve()) or real.name != "java":
        return None
    prefix = real.parent.parent
    prefix = prefix.parent if prefix.name == "jre" else prefix
    return prefix if (prefix / "release").is_file() or is_system(prefix) else None


def _caches(machine: Machine) -> list[Mount]:
    maven, gradle = machine.place("MAVEN_USER_HOME", ".m2"), machine.place("GRADLE_USER_HOME", ".gradle")
    caches: list[Mount] = []
    for top, inside, names in (
        (maven, ".m2", ("repository", "wrapper")),
        (gradle, ".gradle", ("caches", "wrapper")),
    ):
        for name in names if top else ():
            caches += machine.cache(top / name if top else None, f"{inside}/{name}")
    return caches
