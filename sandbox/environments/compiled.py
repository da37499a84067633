"""Recipes for Rust, Go and Java: what the build needs is downloaded once, and every later build is offline."""

from __future__ import annotations

from sandbox.environments.project import Project, strings, table
from sandbox.environments.recipe import PLACE, Recipe

RUST, GO = ("Cargo.toml",), ("go.mod", "go.work")
MAVEN = ("pom.xml",)
GRADLE = ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")

_CARGO, _MODULES = f"{PLACE}/cargo", f"{PLACE}/go"
_M2, _GRADLE = f"{PLACE}/m2", f"{PLACE}/gradle"


def rust(project: Project) -> Recipe | None:
    """`cargo fetch`; the crates are compiled in each sandbox. None without a Cargo.toml. Raises ManifestProblem."""
    if not project.has("Cargo.toml"):
        return None
    manifest = project.toml("Cargo.toml")
    locked = " --locked" if project.has("Cargo.lock") else ""
    members = strings(table(manifest, "workspace").get("members"))
    manifests = [f"{folder}/Cargo.toml" for member in members for folder in project.directories(member)]
    toolchain = project.present(("rust-toolchain.toml", "rust-toolchain"))
    notes = (f"{toolchain[0]} is not obeyed: the image's own Rust is used",) if toolchain else ()
    return Recipe(
        source=" and ".join(project.present(("Cargo.toml", "Cargo.lock"))),
        toolchain="rust",
        steps=(f"CARGO_NET_OFFLINE=false cargo fetch{locked}",),
        inputs=project.present(("Cargo.lock", "Cargo.toml", ".cargo/config.toml", ".cargo/config", *manifests)),
        env={"CARGO_HOME": _CARGO, "CARGO_NET_OFFLINE": "true"},
        path=(f"{_CARGO}/bin",),
        test="cargo test",
        notes=notes,
    )  # fmt: skip


def go(project: Project) -> Recipe | None:
    """`go mod download`, unless the modules are vendored. None without a go.mod."""
    if not (project.has("go.mod") or project.has("go.work")):
        return None
    vendored = project.has("vendor/modules.txt")
    fetch = "GOFLAGS=-modcacherw GOPROXY=https://proxy.golang.org,direct go mod download"
    return Recipe(
        source="go.mod and vendor" if vendored else " and ".join(project.present(("go.work", "go.mod"))),
        toolchain="go",
        steps=() if vendored else (fetch,),
        inputs=project.present(("go.sum", "go.mod", "go.work.sum", "go.work", "vendor/modules.txt")),
        env={"GOMODCACHE": _MODULES, "GOPROXY": "off", "GOTOOLCHAIN": "local"},
        test="go test ./...",
    )


# Neither Maven nor Gradle knows HTTPS_PROXY
_PROXY = (
    "proxy=${HTTPS_PROXY:-${HTTP_PROXY:-}}; proxy=${proxy#*://}; proxy=${proxy%%/*}; proxy=${proxy##*@}; "
)
_SETTINGS = "/tmp/coder-settings.xml"  # noqa: S108 - inside the sandbox
_MAVEN_SETTINGS = (
    _PROXY + '{ echo "<settings>"; if [ -n "$proxy" ]; then echo "<proxies>"; for kind in http https; do '
    'echo "<proxy><id>$kind</id><active>true</active><protocol>$kind</protocol>'
    '<host>${proxy%:*}</host><port>${proxy##*:}</port></proxy>"; done; echo "</proxies>"; fi; '
    f'echo "</settings>"; }} >{_SETTINGS}'
)
_GRADLE_PROXY = (
    _PROXY + 'if [ -n "$proxy" ]; then for kind in http https; do '
    'GRADLE_OPTS="${GRADLE_OPTS:-} -D$kind.proxyHost=${proxy%:*} -D$kind.proxyPort=${proxy##*:}"; done; '
    "export GRADLE_OPTS; fi; "
)


def maven(project: Project) -> Recipe | None:
    """All that `mvn test` downloads, the runner of the tests included. None without a pom.xml."""
    if not project.has("pom.xml"):
        return None
    run = f"MAVEN_ARGS= mvn -B -q -s {_SETTINGS} -Dmaven.repo.local={_M2}"
    # surefire chooses and downloads its runner only when there are tests to run
    nothing = "-Dtest=CoderRunsNoTest -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false"
    modules = project.present(f"{folder}/pom.xml" for folder in project.directories("*"))
    return Recipe(
        source="pom.xml",
        toolchain="java",
        steps=(_MAVEN_SETTINGS, f"{run} test-compile", f"{run} test {nothing}"),
        inputs=(*project.present(("pom.xml", ".mvn/maven.config", ".mvn/extensions.xml")), *modules),
        env={"MAVEN_OPTS": f"-Dmaven.repo.local={_M2}", "MAVEN_ARGS": "-o"},
        test="mvn -o -q test",
        notes=("mvnw is not used: it would download a Maven of its own",) if project.has("mvnw") else (),
    )


def gradle(project: Project) -> Recipe | None:
    """The wrapper's Gradle and all that compiling and running the tests downloads. None without a build file."""
    manifests = project.present(GRADLE)
    if not manifests or not project.has("gradlew"):
        return None
    run = f"{_GRADLE_PROXY}GRADLE_USER_HOME={_GRADLE} sh ./gradlew --no-daemon --console=plain"
    program = f"ln -s {_GRADLE}/wrapper/dists/*/*/gradle-*/bin/gradle {PLACE}/bin/gradle"
    # a cache that is only read must have no locks: docs.gradle.org, "dependency caching", shared read-only cache
    unlock = f"find {_GRADLE}/caches -name '*.lock' -delete -o -name gc.properties -delete"
    more = (
        "gradle/wrapper/gradle-wrapper.properties",
        "gradle/libs.versions.toml",
        "gradle.properties",
        "gradle.lockfile",
    )
    builds = [f"{folder}/{name}" for folder in project.directories("*") for name in GRADLE[:2]]
    return Recipe(
        source=" and ".join(manifests),
        toolchain="java",
        steps=(
            f"{run} testClasses",
            f"{run} test --continue || true",
            f"mkdir -p {PLACE}/bin && {program} && {unlock}",
        ),
        inputs=project.present((*manifests, *more, *builds)),
        env={"GRADLE_RO_DEP_CACHE": f"{_GRADLE}/caches"},
        path=(f"{PLACE}/bin",),
        test="gradle --offline --no-daemon test",
        notes=("gradlew would download its Gradle anew: `gradle` is that same Gradle",),
    )  # fmt: skip
