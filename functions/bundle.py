"""Source bundles of the functions: `python -m functions.bundle [FOLDER]` writes FOLDER/NAME for each.

Why: the cloud takes one folder a function, with main.py at its top and nothing to install but what
requirements.txt names. Invariants: a bundle has main.py, the modules of ours that it imports, by
whatever way and wherever in the code, and no others; nothing of ours is executed to find them. The
same source gives the same names, bytes, times and modes, so only a changed function is deployed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from modulefinder import ModuleFinder
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FUNCTIONS = REPOSITORY / "functions"
CONSTRAINTS = REPOSITORY / "constraints.txt"
DEFAULT = REPOSITORY / "build" / "functions"
OURS = ("functions", "jobs", "shared", "tests")
CHANGED = 315_532_800
"""When every file was changed, in seconds since 1970: the start of 1980, the earliest that a zip file can say."""


def names() -> list[str]:
    """The functions: the folders here that have a main.py."""
    return sorted(path.parent.name for path in FUNCTIONS.glob("*/main.py"))


def find_imports(name: str) -> tuple[list[Path], set[str]]:
    """The files of ours that a function's main.py needs, and the other modules that these import.

    Our own modules alone are followed; of others the names are known, those of the standard library left
    out. Raises ImportError for a module of ours that is not there.
    """
    main = FUNCTIONS / name / "main.py"
    finder = ModuleFinder(path=[str(REPOSITORY)])
    finder.run_script(str(main))
    files = {Path(file) for module in finder.modules.values() if (file := getattr(module, "__file__", None))}
    missing, _ = finder.any_missing_maybe()
    others = {module for module in missing if module.partition(".")[0] not in sys.stdlib_module_names}
    if lost := sorted(module for module in others if module.partition(".")[0] in OURS):
        raise ImportError(f"{main}: {', '.join(lost)} is imported and not there; no bundle is made")
    return sorted(files - {main}), others


def contents(name: str) -> dict[str, bytes]:
    """What a function's bundle has: the bytes of each file by its path there."""
    files, _ = find_imports(name)
    constraints = CONSTRAINTS.read_bytes()
    # pip reads the file beside it; the hash tells the cloud's cache, which looks at this file alone, of a change.
    pinned = f"-c constraints.txt  # sha256 {hashlib.sha256(constraints).hexdigest()}\n".encode()
    return {
        "main.py": (FUNCTIONS / name / "main.py").read_bytes(),
        "requirements.txt": pinned + (FUNCTIONS / name / "requirements.txt").read_bytes(),
        "constraints.txt": constraints,
        **{file.relative_to(REPOSITORY).as_posix(): file.read_bytes() for file in files},
    }


def write(name: str, folder: Path) -> Path:
    """Writes a function's bundle to `folder`/`name`, in place of whatever is there; the folder that it made."""
    bundle = folder / name
    if bundle.exists():
        shutil.rmtree(bundle)
    for path, data in sorted(contents(name).items()):
        file = bundle / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o644)
        os.utime(file, (CHANGED, CHANGED))
    return bundle


def main() -> None:
    """Writes all bundles and prints their folders."""
    parser = argparse.ArgumentParser(description="Write the source bundle of each function.")
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT, help="where to (%(default)s)")
    folder = parser.parse_args().folder
    for name in names():
        print(write(name, folder))


if __name__ == "__main__":
    main()
