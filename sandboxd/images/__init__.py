"""Images for containers, built without a registry: from the host's own Python, a root file system, or debootstrap."""

from sandboxd.images.build import Source, build_image, inspect_image, remove_image

__all__ = ("Source", "build_image", "inspect_image", "remove_image")
