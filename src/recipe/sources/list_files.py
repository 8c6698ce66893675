"""Lists the files below a folder, and everything that is not read, with the reason.

Each folder is read once. A link to a file or folder elsewhere is followed, but never to a folder above it, to something
that is already read in another place, or to anything other than a regular file: a device, a pipe or a socket may never
end.
"""

import fnmatch
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from recipe.problems import LINK, STRAY, UNREADABLE, Problem, shown

# Names that programs leave behind at any depth: pattern of the name in lower case -> the program.
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
# The same for files only, because the folder of a class may have such a name.
LEFT_OVER_FILES = {
    "*~": "an editor",
    "*.tmp": "a program that was interrupted",
    "*.temp": "a program that was interrupted",
    "*.swp": "vim",
    "*.swo": "vim",
    "#*#": "Emacs",
    "~$*": "Microsoft Office",
    ".~lock.*#": "LibreOffice",
    "*.part": "a download that has not ended",
    "*.crdownload": "a download that has not ended",
    "*.dvc": "DVC",
}
# Where Linux shows its state as files, some of which never end; elsewhere such a folder may be missing.
KERNEL = ("/proc", "/sys", "/dev")


@dataclass
class Listing:
    """files: (name below the root with `/`, real path), folder by folder in order; folders: all that were read."""

    files: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def report(self, kind: str, name: str, detail: str) -> None:
        self.problems.append(Problem(kind, shown(name) or ".", detail))


def list_files(root: Path | str) -> Listing:
    """Everything below `root`, which may be a link. Files are listed, not opened; a dangling link counts as a file."""
    listing, real = Listing(), os.path.realpath(root)
    seen = {_identity(real): "the root"}
    links = _folder(real, "", listing, seen)
    # folders first, so that a file is read at its own place rather than through a link
    while folders := sorted(link for link in links if os.path.isdir(link[1])):
        links = sorted(set(links) - set(folders))
        links += [more for name, path in folders for more in _linked_folder(name, path, real, listing, seen)]
    places = {path: name for name, path in listing.files}
    for name, path in sorted(links):
        _linked_file(name, path, listing, places)
    listing.files.sort(key=lambda file: (file[0].split("/")[:-1], file[0]))
    listing.folders.sort(key=lambda name: name.split("/"))
    listing.problems.sort(key=lambda problem: problem.name.split("/"))
    return listing


def left_over(name: str, is_folder: bool) -> str:
    """Why a name is not read: a program left it, or it is hidden. Empty where it may be an example or a class."""
    tables = [LEFT_OVER] if is_folder else [LEFT_OVER, LEFT_OVER_FILES]
    for pattern, origin in ((p, o) for table in tables for p, o in table.items()):
        if fnmatch.fnmatchcase(name.lower(), pattern):
            return f"left behind by {origin}"
    return "hidden" if name.startswith(".") else ""


def _folder(path: str, name: str, listing: Listing, seen: dict) -> list[tuple[str, str]]:
    """Reads a folder and those inside it; gives the links, (name, path), that still have to be followed."""
    links, todo = [], [(path, name)]
    while todo:
        path, name = todo.pop()
        try:
            entries = list(os.scandir(path))
        except OSError as error:
            listing.report(UNREADABLE, name, f"the folder cannot be read: {error.strerror}")
            continue
        for entry in entries:
            inner = f"{name}/{entry.name}" if name else entry.name
            is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
            if why := left_over(entry.name, is_folder):
                listing.report(STRAY, inner, why)
            elif entry.is_symlink():
                links.append((inner, entry.path))
            elif is_folder:
                todo += _entered(entry.path, inner, listing, seen)
            elif entry.is_file():
                listing.files.append((inner, entry.path))
            else:
                listing.report(UNREADABLE, inner, "neither a file nor a folder")
    return links


def _entered(path: str, name: str, listing: Listing, seen: dict) -> list[tuple[str, str]]:
    """The folder to read, as a list; empty where it must not be read."""
    try:
        identity = _identity(path)
    except OSError as error:  # removed a moment ago
        listing.report(UNREADABLE, name, f"the folder cannot be read: {error.strerror}")
        return []
    if identity[0] in _kernel():
        listing.report(UNREADABLE, name, "a folder in which the kernel shows its state as files")
        return []
    if identity in seen:
        listing.report(LINK, name, f"the same folder as `{shown(seen[identity])}`, which is read")
        return []
    seen[identity] = name
    listing.folders.append(name)
    return [(path, name)]


def _linked_folder(name: str, path: str, root: str, listing: Listing, seen: dict) -> list[tuple[str, str]]:
    """Reads the folder that a link points to, unless it must not be read; gives the links in it."""
    target = os.path.realpath(path)
    if any(_holds(target, folder) for folder in (root, os.path.realpath(os.path.dirname(path)))):
        listing.report(LINK, name, "a link to a folder above it")
    else:
        return [
            link for at, inner in _entered(target, name, listing, seen) for link in _folder(at, inner, listing, seen)
        ]
    return []


def _linked_file(name: str, path: str, listing: Listing, places: dict[str, str]) -> None:
    """Adds the file that a link points to. places: {real path: name} of the files that are read without a link."""
    target = os.path.realpath(path)
    try:
        status = os.stat(target)
    except OSError:
        listing.files.append((name, path))  # it points to nothing: the decoder reports it
        return
    if not stat.S_ISREG(status.st_mode):
        listing.report(UNREADABLE, name, "a link to something that is neither a file nor a folder")
    elif status.st_dev in _kernel():
        listing.report(UNREADABLE, name, "a link to a file in which the kernel shows its state")
    elif target in places:
        listing.report(LINK, name, f"a link to `{shown(places[target])}`, which is read")
    else:
        listing.files.append((name, target))


def _holds(folder: str, other: str) -> bool:
    return other == folder or other.startswith(folder.rstrip("/") + "/")


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


@cache
def _kernel() -> set[int]:
    return {os.stat(place).st_dev for place in KERNEL if os.path.ismount(place)}


def quote_some(names: Sequence[str]) -> str:
    """The first few names in backquotes, for a message."""
    first = ", ".join(f"`{shown(name)}`" for name in names[:4])
    return first + (f" and {len(names) - 4} more" if len(names) > 4 else "")
