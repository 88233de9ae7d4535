"""Building an image: a root file system, the packages of a requirements file in a layer of their own, a line in the list."""

from __future__ import annotations

import compileall
import py_compile
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxd.broker.allow_list import Image, broken, check_name, forget_image, load_image, save_image
from sandboxd.environments import Environment, create_environment, load_environment
from sandboxd.errors import Code, SandboxdError
from sandboxd.images import rootfs
from sandboxd.images.archive import write_archive, write_layer
from sandboxd.images.engine import ImageEngine
from sandboxd.images.host import host_trees, linked_libraries

PACKAGES_PLACE = "/opt/packages"
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Source:
    """What an image's root file system is made of; at most one is given, none means the host's own Python.

    Attributes:
        base: an image that the engine has.
        rootfs: a tar.
        suite: for debootstrap.
    """

    base: str = ""
    rootfs: Path | None = None
    suite: str = ""


def build_image(
    images_dir: Path,
    engine_socket: Path,
    name: str,
    source: Source,
    requirements: Path | None = None,
    *,
    progress: Callable[[str], None],
) -> Image:
    """Build an image, load it into the engine, and put it on the allow-list under `name`.

    Args:
        images_dir: the allow-list.
        engine_socket: the engine's.
        name: what policies will call it.
        source: where the root file system comes from.
        requirements: a pip requirements file for what goes on top; wheels only.
        progress: takes each line of what goes on.

    Raises:
        SandboxdError: INVALID_REQUEST, ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED, EXECUTOR_UNAVAILABLE. The list is
            then as it was.
    """
    check_name(name)
    engine = ImageEngine(engine_socket)
    engine.inspect(_tag(name))  # before minutes of work for an engine that is not there
    try:
        image = _build(engine, name, source, requirements, progress)
        save_image(images_dir, image)
    except OSError as error:
        raise SandboxdError(
            Code.ENVIRONMENT_FAILED,
            f"Image {name} could not be built: {error.strerror or error} ({error.filename or 'a temporary file'}).",
            remedy=f"It takes a few times the image's size in {tempfile.gettempdir()}: free some there, or set TMPDIR.",
            environment=name,
        ) from error
    return image


def _tag(name: str) -> str:
    return f"sandboxd/{name}:latest"


def _build(
    engine: ImageEngine,
    name: str,
    source: Source,
    requirements: Path | None,
    progress: Callable[[str], None],
) -> Image:
    with tempfile.TemporaryDirectory(prefix="sandboxd-image-") as temporary:
        work = Path(temporary)
        environment = _packages(work, name, requirements, progress)
        layers, python, version, origin = _base(engine, source, environment, work, progress)
        if environment.site_packages is not None:
            if version != _HERE:
                raise SandboxdError(
                    Code.INVALID_REQUEST,
                    f"The image has Python {version}, and pip here chooses packages for {_HERE}.",
                    remedy=f"Take a root file system with Python {_HERE}, or run sandboxd on Python {version}.",
                )
            layers.append(_package_layer(environment, work, own_libraries=not (source.base or source.suite)))
        progress("Loading it into the engine")
        archive = work / "image.tar"
        digest = write_archive(archive, _tag(name), layers)
        engine.load(archive)
    loaded = engine.inspect(_tag(name))
    if loaded is None:
        raise broken(name, "the engine loaded it and does not have it")
    # A classic store names an image by its configuration, containerd's by its manifest: what the engine says is what runs.
    return Image(
        name=name,
        image_id=str(loaded["Id"]),
        python=python,
        version=version,
        sys_path=(PACKAGES_PLACE,) if environment.site_packages is not None else (),
        packages=environment.packages,
        preload=environment.preload,
        origin=f"{origin}; configuration {digest}",
    )


def _packages(
    work: Path, name: str, requirements: Path | None, progress: Callable[[str], None]
) -> Environment:
    if requirements is None:
        return load_environment(work, "base")
    # Its own name only matters where a list ships with that name; one is always given here.
    return create_environment(work / "environments", f"image-{name}"[:63], requirements, progress=progress)


def _base(
    engine: ImageEngine,
    source: Source,
    environment: Environment,
    work: Path,
    progress: Callable[[str], None],
) -> tuple[list[Path], str, str, str]:
    """Return the layers, the interpreter, its version, and where they come from."""
    if source.base:
        progress(f"Taking {source.base} from the engine")
        layers, origin = rootfs.from_image(engine, source.base, work), f"image {source.base}"
    elif source.rootfs is not None:
        progress(f"Reading {source.rootfs}")
        layers, origin = rootfs.from_tar(source.rootfs, work), f"tar {source.rootfs.name}"
    elif source.suite:
        layers, origin = rootfs.from_debootstrap(source.suite, work, progress), f"debootstrap {source.suite}"
    else:
        progress(f"Taking the host's own Python {environment.version}")
        empty = work / "empty"
        empty.mkdir()
        layer = work / "rootfs.tar"
        write_layer(layer, *host_trees(environment, empty))
        return [layer], environment.python, _HERE, "the host's own Python"
    return [*layers], *rootfs.find_python(layers), origin


def _package_layer(environment: Environment, work: Path, *, own_libraries: bool) -> Path:
    assert environment.site_packages is not None
    site = Path(environment.site_packages)
    # Compiled code names its source: where it will lie, not the temporary directory, or no two builds would be the same.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        site, force=True, quiet=2, invalidation_mode=mode, stripdir=site, prependdir=PACKAGES_PLACE
    )
    trees = {PACKAGES_PLACE: site}
    if own_libraries:  # wheels bring nearly all; libstdc++ and its like they take from the system
        trees |= linked_libraries(site)
    layer = work / "packages.tar"
    write_layer(layer, trees, {}, {})
    return layer


def inspect_image(images_dir: Path, engine_socket: Path, name: str) -> tuple[Image, dict[str, Any] | None]:
    """Return an image's record, and what the engine says of it, None where it is gone.

    Raises:
        SandboxdError: ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED, EXECUTOR_UNAVAILABLE.
    """
    image = load_image(images_dir, name)
    return image, ImageEngine(engine_socket).inspect(image.image_id)


def remove_image(images_dir: Path, engine_socket: Path, name: str) -> None:
    """Take an image off the list, then out of the engine; what runs of it runs on.

    Raises:
        SandboxdError: as `inspect_image`; off the list it is all the same.
    """
    image = load_image(images_dir, name)
    forget_image(images_dir, name)
    engine = ImageEngine(engine_socket)
    tagged = engine.inspect(_tag(name))
    # By its name: another image of the same files has the same digest, and stays.
    engine.remove(_tag(name) if tagged is not None and tagged.get("Id") == image.image_id else image.image_id)
