"""Small programs in the place of gcloud and terraform: they note how they were called, and answer as those do."""

from __future__ import annotations

import sys
from pathlib import Path

VERSIONS = """#!{python}
import sys
words = sys.argv[1:]
if words[:2] == ["version", "-json"]:
    print('{{"terraform_version": "1.9.8"}}')
elif words[:2] == ["version", "--format=json"]:
    print('{{"Google Cloud SDK": "500.0.0", "beta": "2026.01.01"}}')
elif words[:2] == ["auth", "list"]:
    print("robot@my-project.iam.gserviceaccount.com")
else:
    sys.exit(3)
"""


def versions(folder: Path) -> Path:
    """A folder with a gcloud and a terraform that say who they are, and do nothing else."""
    folder.mkdir()
    for name in ("gcloud", "terraform"):
        (folder / name).write_text(VERSIONS.format(python=sys.executable))
        (folder / name).chmod(0o755)
    return folder
