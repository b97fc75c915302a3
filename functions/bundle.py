"""Source bundles of the functions: `python -m functions.bundle [FOLDER]` writes FOLDER/NAME for each.

Why: the cloud takes one folder a function, with main.py at its top and nothing to install but what
requirements.txt names. Invariants: a bundle has main.py, the modules of ours that it imports, by
whatever way and wherever in the code, and no others; nothing of ours is executed to find them. The
same source gives the same names, bytes, times and modes, so only a changed function is deployed. Only a
bundle that was written here is ever replaced.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import traceback
from modulefinder import ModuleFinder
from pathlib import Path

from shared.classify import Classifier
from shared.endings import ending_of
from shared.errors import StateError
from shared.exit_codes import Exit

REPOSITORY = Path(__file__).resolve().parent.parent
FUNCTIONS = REPOSITORY / "functions"
CONSTRAINTS = REPOSITORY / "constraints.txt"
DEFAULT = REPOSITORY / "build" / "functions"
OURS = ("functions", "jobs", "shared", "tests")
TOP = ("main.py", "requirements.txt", "constraints.txt")
MARKED, MARK = "requirements.txt", b"-c constraints.txt  # sha256 "
"""The file by which a bundle is known, and how it begins."""
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
    pinned = MARK + f"{hashlib.sha256(constraints).hexdigest()}\n".encode()
    return {
        "main.py": (FUNCTIONS / name / "main.py").read_bytes(),
        "requirements.txt": pinned + (FUNCTIONS / name / "requirements.txt").read_bytes(),
        "constraints.txt": constraints,
        **{file.relative_to(REPOSITORY).as_posix(): file.read_bytes() for file in files},
    }


def write(name: str, folder: Path) -> Path:
    """Writes a function's bundle to `folder`/`name`, in place of an older one; the folder that it made.

    StateError for a folder that holds anything but a bundle that was written here: nothing is deleted then.
    """
    bundle = folder / name
    made = contents(name)
    _remove(bundle)
    # The file that shows whose it is comes first: what is interrupted here is still known as a bundle.
    for path in sorted(made, key=lambda path: (path != MARKED, path)):
        file = bundle / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made[path])
        file.chmod(0o644)
        os.utime(file, (CHANGED, CHANGED))
    return bundle


def _remove(bundle: Path) -> None:
    """Removes a bundle file by file; StateError, before the first, if it is something else."""
    if bundle.is_symlink() or (bundle.exists() and not bundle.is_dir()):
        raise _not_ours(bundle, bundle)
    found = sorted(bundle.rglob("*"), reverse=True)
    files = [path for path in found if path.is_symlink() or not path.is_dir()]
    for path in files:
        inside = path.relative_to(bundle)
        source = inside.parts[0] in OURS and inside.suffix == ".py"
        if path.is_symlink() or not path.is_file() or not (source or inside.as_posix() in TOP):
            raise _not_ours(bundle, path)
    if files and not _is_marked(bundle / MARKED):
        raise _not_ours(bundle, bundle / MARKED)
    for path in sorted(files, key=lambda path: path == bundle / MARKED):
        path.unlink()
    for path in found:
        if path not in files:
            path.rmdir()


def _is_marked(requirements: Path) -> bool:
    return requirements.is_file() and requirements.read_bytes().startswith(MARK)


def _not_ours(bundle: Path, path: Path) -> StateError:
    return StateError(
        f"{bundle}: {path} is no part of a bundle that was written here, so nothing there is deleted; "
        "give another FOLDER, or remove it by hand"
    )


def main() -> Exit:
    """Writes all bundles and prints their folders."""
    parser = argparse.ArgumentParser(description="Write the source bundle of each function.")
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT, help="where to (%(default)s)")
    try:
        folder = parser.parse_args().folder
        for name in names():
            print(write(name, folder), flush=True)
    except Exception as error:
        ending = ending_of(error, Classifier())
        if ending.text is None:
            traceback.print_exc()
        else:
            print(ending.text, file=sys.stderr)
        return ending.code
    return Exit.OK


if __name__ == "__main__":
    code = main()
    if code is not Exit.OK:
        # What could not be printed is not tried again at the end, with a code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)
