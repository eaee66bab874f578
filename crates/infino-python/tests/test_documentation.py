"""Every example in a docstring, and every block of Python in the README, does what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import infino
from conftest import make_docs

PACKAGE = Path(__file__).parent.parent


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [f"infino.{module.name}" for module in pkgutil.iter_modules(infino.__path__)]
    modules = [importlib.import_module(name) for name in names if name != "infino._infino"]
    found = [test for module in [infino, *modules] for test in finder.find(module, module.__name__)]
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_docstring(example: doctest.DocTest) -> None:
    db = infino.connect("memory://")
    known = {"infino": infino, "np": np, "pa": pa, "db": db}
    if example.name != "infino.table.Table":
        known["docs"] = make_docs(db)
    example.globs = {**known}
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert result.failed == 0


def test_examples_are_there() -> None:
    assert len(examples()) > 30


def test_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), known)
