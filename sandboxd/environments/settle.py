"""The last steps of a new environment, run by its own interpreter with `-I -S`. Executed, never imported.

`compile SITE` compiles every module. `import SITE CACHE MODULE...` imports what is to be preloaded, so that a
package that cannot be imported fails the creation and not the first sandbox, and writes matplotlib's font
list to CACHE.
"""

import compileall
import importlib
import importlib.util
import os
import sys
from pathlib import Path


def compile_all(site: str) -> None:
    """Compile on all processors. A file that does not compile (some packages ship such) is no failure."""
    sys.setrecursionlimit(10_000)
    compileall.compile_dir(site, quiet=2, workers=0, maxlevels=64)


def first_import(site: str, cache: str, modules: list[str]) -> None:
    """Import `modules`, and build the font list where there is a matplotlib."""
    sys.path.append(site)
    os.environ.update(MPLBACKEND="agg", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    if importlib.util.find_spec("matplotlib") is not None:
        build_font_list(cache)
    for module in modules:
        importlib.import_module(module)


def build_font_list(cache: str) -> None:
    """Write matplotlib's font list with the bundled fonts alone: a jail has no others to find."""
    directory = Path(cache)
    directory.mkdir(parents=True, exist_ok=True)
    os.environ["MPLCONFIGDIR"] = cache
    matplotlib = importlib.import_module("matplotlib")
    font_manager = importlib.import_module("matplotlib.font_manager")
    bundled = matplotlib.get_data_path() + os.sep
    fonts = font_manager.fontManager
    fonts.ttflist = [font for font in fonts.ttflist if font.fname.startswith(bundled)]
    fonts.afmlist = [font for font in fonts.afmlist if font.fname.startswith(bundled)]
    for written in directory.glob("fontlist-*"):
        font_manager.json_dump(fonts, written)


if __name__ == "__main__":
    if sys.argv[1] == "compile":
        compile_all(sys.argv[2])
    else:
        first_import(sys.argv[2], sys.argv[3], sys.argv[4:])
