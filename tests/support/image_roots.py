"""The Dockerfile's stages built without Docker: into a bare Debian root each, by chroot.

It needs root, and debootstrap. What differs from an image: Python is Debian's, in a virtual
environment at /usr/local, not that of `python:3.12-slim`; no layers; the machine's own network.
The steps are read from the Dockerfile.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockerfile import Stage, Step, read_dockerfile
from tools import tool

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
PACKAGES = "python3,python3-venv,ca-certificates"
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".potluck")

# In a mount namespace of its own, so that all of it is undone when the command ends. $1 is the
# root; mounts follow as pairs up to `--`, then the command.
ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
if [ -n "$READ_ONLY" ]; then
  mount -o remount,bind,ro "$root"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
fi
while [ "$1" != "--" ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
exec chroot "$root" "$@"
"""


@dataclass
class Image:
    """A stage on its way: a root, and what its steps have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH, "LANG": "C.UTF-8"})
    folder: str = "/"
    user: str = "root"
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    healthcheck: Sequence[str] = ()

    def entered(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[Path, str] | None = None,
        *,
        read_only: bool = False,
    ) -> list[str]:
        """A command line that runs the command in the image, as its user, without root's rights.

        Args:
            mounts: file or folder of this machine -> where it is in the image.
            read_only: only what is mounted, /tmp and /dev/shm can be written to.
        """
        for source, place in (mounts or {}).items():
            make_mount_point(self.root / place.lstrip("/"), source)
        pairs = [word for source, place in (mounts or {}).items() for word in (str(source), place)]
        merged = {**self.environment, **(environment or {})}
        variables = [f"{name}={value}" for name, value in merged.items()]
        inside = ["env", "-i", "-C", self.folder, *variables, *self.rights(), *command]
        outside = [
            "env",
            f"READ_ONLY={'yes' if read_only else ''}",
            "unshare",
            "--mount",
            "sh",
            "-c",
            ENTER,
            "enter",
        ]
        return [*outside, str(self.root), *pairs, "--", *inside]

    def rights(self) -> list[str]:
        """As `cap_drop: [ALL]` and `no-new-privileges`; the steps of a build have root's."""
        if self.user == "root":
            return []
        who = [f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        return ["setpriv", *who, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


@dataclass
class Builder:
    """Builds stages below a folder, each once."""

    folder: Path
    built: dict[str, Image] = field(default_factory=dict)
    stages: Mapping[str, Stage] = field(default_factory=lambda: read_dockerfile(DOCKERFILE))

    def build(self, name: str) -> Image:
        """The stage of that name, or the root that its `FROM` names."""
        if name not in self.built:
            stage = self.stages.get(name)
            self.built[name] = self.stage(stage) if stage else self.python()
        return self.built[name]

    def python(self) -> Image:
        """In place of python:3.12-slim: Debian's Python, called `python`, with `pip` beside it."""
        root = self.folder / "python"
        mirror, suite, components = apt_source()
        options = ["--variant=minbase", f"--include={PACKAGES}", f"--components={components}"]
        execute([tool("debootstrap"), *options, suite, str(root), mirror])
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        image = Image(root)
        execute(image.entered(["python3", "-m", "venv", "/usr/local"]))
        return image

    def stage(self, stage: Stage) -> Image:
        base = self.build(stage.base)
        root = self.folder / stage.name
        execute(["cp", "--archive", "--reflink=auto", str(base.root), str(root)])
        image = replace(base, root=root, environment=dict(base.environment))
        for step in stage.steps:
            self.take(image, step)
        return image

    def take(self, image: Image, step: Step) -> None:
        """One step of the Dockerfile. VOLUME and EXPOSE change nothing."""
        match step.word:
            case "ENV":
                image.environment.update(step.variables)
            case "RUN":
                self.run(image, step)
            case "COPY":
                copy(step.words, image)
            case "WORKDIR":
                image.folder = step.rest
                inside(image, step.rest).mkdir(parents=True, exist_ok=True)
            case "USER":
                image.user = step.rest
            case "HEALTHCHECK":
                image.healthcheck = step.argv
            case "CMD":
                image.command = step.argv
            case "ENTRYPOINT":
                image.entrypoint = step.argv

    def run(self, image: Image, step: Step) -> None:
        pip = pip_settings()
        mounts = {path: str(path) for path in paths_of(pip)}
        for mount in step.mounts:
            source = inside(self.build(mount["from"]), mount["source"])
            mounts[source] = mount["target"]
        execute(image.entered(["sh", "-c", step.script], pip, mounts))


def inside(image: Image, path: str) -> Path:
    """Where a path of the image, or one relative to its folder, lies on this machine."""
    return image.root / os.path.join(image.folder, path).lstrip("/")


def make_mount_point(place: Path, source: Path) -> None:
    """Something of the same kind to mount over."""
    if source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def copy(words: Sequence[str], image: Image) -> None:
    *sources, target = words
    for source in sources:
        place = inside(image, target)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=IGNORED, dirs_exist_ok=True)
        else:
            file = place / Path(source).name if target.endswith("/") else place
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, file)


def execute(command: Sequence[str]) -> str:
    """Run to the end; answers the output, or shows it."""
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
    return ended.stdout


def apt_source() -> tuple[str, str, str]:
    """Mirror, suite and components of the distribution that this machine is installed from."""
    release = Path("/etc/os-release").read_text()
    (suite,) = re.findall(r"^VERSION_CODENAME=(\S+)", release, re.MULTILINE)
    listed = execute(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"])
    found = [line.split() for line in listed.splitlines()]
    components = {component: mirror for mirror, name, component in found if name == suite}
    assert components, f"expected a source of {suite} in apt's lists, found none"
    return components["main"], suite, ",".join(sorted(components))


def pip_settings() -> dict[str, str]:
    """How this machine's pip finds packages, as the variables that pip reads."""
    listed = execute([sys.executable, "-m", "pip", "config", "list"])
    named = re.findall(r"^\S+?\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
    settings = {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
    for name, value in named:
        # A list stands in it as lines.
        settings[f"PIP_{name.replace('-', '_').upper()}"] = value.replace("\\n", " ").strip()
    return settings


def paths_of(settings: Mapping[str, str]) -> list[Path]:
    """Files and folders of this machine that they name; with `…/simple` what lies beside it."""
    words = " ".join(settings.values()).replace("file://", "").split()
    named = [Path(word) for word in words if word.startswith("/") and Path(word).exists()]
    return sorted({path.parent if path.name == "simple" else path for path in named})
