"""`cargo xtask bench peers`: the same cells on every engine, on the same data with the same threads, in one run.

    run.py --ours PROGRAM [--rows N] [--dim N] [--data DIR] [--threads N] [--engines a,b] [--json FILE] [--work DIR]

Each engine builds and answers in processes of its own, pinned to the same cores. Answers are judged against a scan of all
rows; where an engine has search settings, the fastest that reaches a recall is shown. Ratios are to ours: 2.00 takes twice as
long, or is twice as large."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import data
from engines import ENGINES
from truth import FILTERS, Truth

RECALLS = (0.95, 0.99)
HERE = Path(__file__).parent


def run(command, cores):
    """The JSON that a program prints last, and its peak memory in MB."""
    pin = lambda: os.sched_setaffinity(0, cores)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=pin, text=True)
    out, err = child.communicate()
    if child.returncode:
        raise RuntimeError(err.strip().splitlines()[-1] if err.strip() else f"ended with {child.returncode}")
    outcome = json.loads(out.strip().splitlines()[-1])
    return outcome


def size(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and "cache" not in path.parts)


def quantile(us, q):
    return sorted(us)[min(len(us) - 1, int(q * len(us)))]


def figures(name, outcome, truth):
    """Cells of one engine: name to (figure, unit, recall or exactness)."""
    cells = {}

    def add(cell, us, recall):
        cells[f"{cell} p50"] = (quantile(us, 0.5), "µs", recall)
        cells[f"{cell} p99"] = (quantile(us, 0.99), "µs", recall)

    for cell, found in outcome["cells"].items():
        if cell.startswith("text/"):
            add(cell, found["us"], truth.judge_text(cell.removeprefix("text/"), found["answers"]))
        elif cell.startswith("sql/"):
            right = truth.sql(cell.removeprefix("sql/"))
            add(cell, found["us"], float(found["rows"] == right))
        elif cell.startswith("hybrid"):
            add(cell, found["us"], None)
        else:
            share = FILTERS.get(cell.removeprefix("filtered/"), 1.0)
            judged = [(quantile(f["us"], 0.5), f["us"], truth.judge_near(share, f["answers"])) for f in found.values()]
            for wanted in RECALLS:
                fit = [one for one in judged if one[2] >= wanted - 0.005]
                if fit:
                    _, us, recall = min(fit, key=lambda one: one[0])
                    add(f"{cell}@{wanted}", us, recall)
            if len(judged) == 1 and judged[0][2] < RECALLS[0] - 0.005:
                add(f"{cell}@default", judged[0][1], judged[0][2])
    return cells


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--json")
    parser.add_argument("--work")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[-options.threads :]
    scratch = Path(options.work or tempfile.mkdtemp(prefix="infino-peers-"))
    work = scratch / "data"
    data.prepare(work, options.rows, options.dim, options.data)
    truth = Truth(work)
    names = ["infino"] + [name for name in options.engines.split(",") if name]
    table, failures = {}, {}
    for name in names:
        store = scratch / name
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        program = [options.ours] if name == "infino" else [sys.executable, str(HERE / "engines.py"), name]
        tail = [str(work), str(store), str(options.threads)]
        try:
            built = run([*program, "build", *tail], cores)
            asked = run([*program, "ask", *tail], cores)
        except Exception as problem:
            failures[name] = str(problem)
            continue
        cells = {}
        if name != "datafusion":
            cells["build seconds"] = (built["seconds"], "s", None)
            cells["size"] = (size(store) / 1e6, "MB", None)
        table[name] = cells | figures(name, asked, truth)
        print(f"{name}: built in {built['seconds']:.1f} s", file=sys.stderr)
    show(table, options, len(truth.docs), truth.vectors.shape[1], cores)
    for name, problem in failures.items():
        print(f"\n{name} did not run: {problem}")
    if options.json:
        Path(options.json).write_text(json.dumps(table, indent=1, default=float))
    if not options.work:
        shutil.rmtree(scratch)
    return 1 if "infino" in failures else 0


def show(table, options, rows, dim, cores):
    source = Path(options.data).name if options.data else "made up"
    print(f"{rows} rows, text and {dim} dimensions ({source}), {options.threads} thread(s) on cores {cores}\n")
    print("| cell | engine | figure | unit | recall or exactness | ratio to infino |\n|---|---|--:|---|--:|--:|")
    cells = dict.fromkeys(cell for engine in table.values() for cell in engine)
    for cell in cells:
        ours = table.get("infino", {}).get(cell)
        for name, engine in table.items():
            if cell in engine:
                figure, unit, recall = engine[cell]
                ratio = f"{figure / ours[0]:.2f}" if ours else ""
                shown = "" if recall is None else f"{recall:.3f}"
                print(f"| {cell} | {name} | {figure:.1f} | {unit} | {shown} | {ratio} |")


if __name__ == "__main__":
    sys.exit(main())
