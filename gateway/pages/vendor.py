"""Fetches the files of others that pages load, by npm, and writes them with their hashes: `make vendor`.

Only for who develops: what is fetched is kept in the repository, and nothing is fetched to install or to run.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
TABLE: Final = HERE / "vendor.toml"


def fetched(package: str, version: str, path: str) -> bytes:
    """One file of a package. Raises SystemExit without npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not here: it comes with Node.js (https://nodejs.org)")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{package}@{version}", "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- of our own table
        [archive] = Path(folder).iterdir()
        with tarfile.open(archive) as packed:
            file = packed.extractfile(f"package/{path}")
            assert file is not None
            return file.read()


def refresh() -> None:
    """Fetch every file that the table names in the version that it says, and write its hash there."""
    text = TABLE.read_text()
    for entry in tomllib.loads(text)["file"]:
        content = fetched(entry["package"], entry["version"], entry["path"])
        (HERE / "static" / entry["name"]).write_bytes(content)
        text = text.replace(entry["sha256"], hashlib.sha256(content).hexdigest())
    TABLE.write_text(text)


if __name__ == "__main__":
    refresh()
