"""What lies below a folder: its files, and everything that is not read, with the reason.

A folder is read once. A link is followed to a file or folder elsewhere, never to a folder above it, to what is read in
another place already, or to anything but a regular file: a device, a pipe or a socket may never end.
"""

import fnmatch
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from recipe.problems import LINK, STRAY, UNREADABLE, Problem, shown

# What programs leave behind, at any depth: pattern of the name in lower case -> what leaves it there.
LEFT_OVER = {
    "__macosx": "macOS, in zip archives",
    "._*": "macOS, on other file systems",
    ".ds_store": "macOS Finder",
    ".appledouble": "macOS, on network drives",
    ".spotlight-v100": "macOS search",
    ".trashes": "macOS",
    ".fseventsd": "macOS",
    ".temporaryitems": "macOS",
    "icon\r": "macOS Finder",
    "thumbs.db": "Windows Explorer",
    "ehthumbs.db": "Windows",
    "desktop.ini": "Windows Explorer",
    "$recycle.bin": "Windows",
    "system volume information": "Windows",
    "@eadir": "Synology",
    "#recycle": "Synology",
    "#snapshot": "Synology",
    "@recycle": "QNAP",
    "@recently-snapshot": "QNAP",
    "lost+found": "a file system check",
    ".nfs*": "NFS",
    ".fuse_hidden*": "FUSE",
    ".trash*": "a Linux desktop",
    ".directory": "KDE",
    ".picasa.ini": "Picasa",
    "picasa.ini": "Picasa",
    ".git": "git",
    ".svn": "Subversion",
    ".hg": "Mercurial",
    ".ipynb_checkpoints": "Jupyter",
    "__pycache__": "Python",
}
# The same of files alone: a class's folder may have such a name.
LEFT_OVER_FILES = {
    "*~": "an editor",
    "*.tmp": "a program that was writing",
    "*.temp": "a program that was writing",
    "*.swp": "vim",
    "*.swo": "vim",
    "#*#": "Emacs",
    "~$*": "Microsoft Office",
    ".~lock.*#": "LibreOffice",
    "*.part": "a download that has not ended",
    "*.crdownload": "a download that has not ended",
    "*.dvc": "DVC",
}
# Where the kernel shows its state as files: reading some of them never ends.
KERNEL = ("/proc", "/sys", "/dev")


@dataclass
class Listing:
    """files: (name below the root with `/`, real path), folder by folder in order; folders: every one that was read."""

    files: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def report(self, kind: str, name: str, detail: str) -> None:
        self.problems.append(Problem(kind, shown(name) or ".", detail))


def list_files(root: Path | str) -> Listing:
    """Everything below `root`, which may be a link itself. Files are named, not opened; a link to nothing is a file."""
    below, real = Listing(), os.path.realpath(root)
    seen = {_identity(real): "the root"}
    links = _folder(real, "", below, seen)
    # folders first, so that a file is read where it lies rather than through a link to it
    while folders := sorted(link for link in links if os.path.isdir(link[1])):
        links = sorted(set(links) - set(folders))
        links += [more for name, path in folders for more in _linked_folder(name, path, real, below, seen)]
    places = {path: name for name, path in below.files}
    for name, path in sorted(links):
        _linked_file(name, path, below, places)
    below.files.sort(key=lambda file: (file[0].split("/")[:-1], file[0]))
    below.folders.sort(key=lambda name: name.split("/"))
    below.problems.sort(key=lambda problem: problem.name.split("/"))
    return below


def left_over(name: str, is_folder: bool) -> str:
    """What a name says that is left behind by a program, or hidden; empty where it may be an example or a class."""
    tables = [LEFT_OVER] if is_folder else [LEFT_OVER, LEFT_OVER_FILES]
    for pattern, origin in ((p, o) for table in tables for p, o in table.items()):
        if fnmatch.fnmatchcase(name.lower(), pattern):
            return f"left behind by {origin}"
    return "hidden" if name.startswith(".") else ""


def _folder(path: str, name: str, below: Listing, seen: dict) -> list[tuple[str, str]]:
    """Reads a folder and those inside it; gives the links, (name, path), that are still to be followed."""
    links, todo = [], [(path, name)]
    while todo:
        path, name = todo.pop()
        try:
            entries = list(os.scandir(path))
        except OSError as error:
            below.report(UNREADABLE, name, f"the folder cannot be read: {error.strerror}")
            continue
        for entry in entries:
            inner = f"{name}/{entry.name}" if name else entry.name
            is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
            if why := left_over(entry.name, is_folder):
                below.report(STRAY, inner, why)
            elif entry.is_symlink():
                links.append((inner, entry.path))
            elif is_folder:
                todo += _entered(entry.path, inner, below, seen)
            elif entry.is_file():
                below.files.append((inner, entry.path))
            else:
                below.report(UNREADABLE, inner, "neither a file nor a folder")
    return links


def _entered(path: str, name: str, below: Listing, seen: dict) -> list[tuple[str, str]]:
    """The folder to read, or none where it was read before."""
    try:
        identity = _identity(path)
    except OSError as error:  # removed a moment ago
        below.report(UNREADABLE, name, f"the folder cannot be read: {error.strerror}")
        return []
    if identity[0] in _kernel():
        below.report(UNREADABLE, name, "a folder of what the kernel shows as files")
        return []
    if identity in seen:
        below.report(LINK, name, f"the same folder as `{shown(seen[identity])}`, where it is read")
        return []
    seen[identity] = name
    below.folders.append(name)
    return [(path, name)]


def _linked_folder(name: str, path: str, root: str, below: Listing, seen: dict) -> list[tuple[str, str]]:
    """Reads the folder that a link leads to, where it may; gives the links in it."""
    target = os.path.realpath(path)
    if any(_holds(target, folder) for folder in (root, os.path.realpath(os.path.dirname(path)))):
        below.report(LINK, name, "a link to a folder above it")
    else:
        return [link for at, inner in _entered(target, name, below, seen) for link in _folder(at, inner, below, seen)]
    return []


def _linked_file(name: str, path: str, below: Listing, places: dict[str, str]) -> None:
    """places: {real path: name} of what is read without a link to it."""
    target = os.path.realpath(path)
    try:
        status = os.stat(target)
    except OSError:
        below.files.append((name, path))  # it leads to nothing: the decoder says so
        return
    if not stat.S_ISREG(status.st_mode):
        below.report(UNREADABLE, name, "a link to what is neither a file nor a folder")
    elif status.st_dev in _kernel():
        below.report(UNREADABLE, name, "a link to what the kernel shows as files")
    elif target in places:
        below.report(LINK, name, f"a link to `{shown(places[target])}`, where it is read")
    else:
        below.files.append((name, target))


def _holds(folder: str, other: str) -> bool:
    return other == folder or other.startswith(folder.rstrip("/") + "/")


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


@cache
def _kernel() -> set[int]:
    return {os.stat(place).st_dev for place in KERNEL if os.path.ismount(place)}


def quote_some(names: Sequence[str]) -> str:
    """The first few names, for a message."""
    first = ", ".join(f"`{shown(name)}`" for name in names[:4])
    return first + (f" and {len(names) - 4} more" if len(names) > 4 else "")
