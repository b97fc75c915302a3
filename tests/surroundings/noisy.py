"""A command line with a library that prints wherever it can: `python -m tests.surroundings.noisy COMMAND`."""

from __future__ import annotations

from jobs import entry

with entry.importing(__name__):
    import atexit
    import ctypes
    import os
    import subprocess
    import sys
    import threading

    kept = sys.stdout
    print("printed at import")
    os.write(1, b"written at import\n")
    subprocess.run(["echo", "from a program at import"], check=True)

    from jobs import cli, console

READ = console.dataset_path
LIBC = ctypes.CDLL(None)


def loud(name: str) -> object:
    """Reads what is asked for, and prints in every way on the way."""
    print("printed in the command")
    kept.write("printed to a stream that was kept\n")
    os.write(1, b"written to the descriptor\n")
    LIBC.printf(b"printed by C\n")  # stays in C's own buffer until the process ends
    subprocess.run(["echo", "from a program"], check=True)
    thread = threading.Thread(target=print, args=("printed in a thread",))
    thread.start()
    thread.join()
    return READ(name)


if __name__ == "__main__":
    atexit.register(print, "printed at the end")
    atexit.register(os.write, 1, b"written at the end\n")
    for command in sys.modules.values():
        if getattr(command, "dataset_path", None) is READ:
            command.dataset_path = loud  # type: ignore[attr-defined]
    cli.main()
