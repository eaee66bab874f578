"""Packs a wheel of a library that cargo has built: `pack.py LIBRARY VERSION FOLDER`.

The tests install this wheel. What maturin builds is the same package, but it asks cargo for this crate alone, which has
other features of its dependencies than the whole workspace has and so would build all of them a second time.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import sysconfig
import zipfile
from pathlib import Path

HERE = Path(__file__).parent


def pack(library: Path, version: str, folder: Path) -> Path:
    """Writes the wheel and returns its path."""
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"cp310-abi3-{platform}"
    extension = "_infino.pyd" if sys.platform == "win32" else "_infino.abi3.so"
    sources = sorted((HERE / "python").rglob("*"))
    files = {
        path.relative_to(HERE / "python").as_posix(): path.read_bytes()
        for path in sources
        if path.suffix in {".py", ".pyi", ".typed"}
    }
    files[f"infino/{extension}"] = library.read_bytes()
    info = f"infino-{version}.dist-info"
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: infino\nVersion: {version}\nRequires-Python: >=3.10\nRequires-Dist: pyarrow>=15\n"
    ).encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: infino\nRoot-Is-Purelib: false\nTag: {tag}\n"
    ).encode()
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={digest(data)},{len(data)}" for name, data in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    wheel = folder / f"infino-{version}-{tag}.whl"
    # Stored, for a library with debug information is large and the wheel is installed once.
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return wheel


def digest(data: bytes) -> str:
    """A hash as RECORD writes it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
