"""`python -m tests.fuzz [TARGET…]`: fuzz with atheris for FUZZ_SECONDS in all (default 600).

What is found is left in build/fuzz; once it is mended, it belongs into tests/fuzz/corpus.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path("build/fuzz")


def main(names: list[str]) -> int:
    from tests.fuzz.targets import TARGETS

    names = names or list(TARGETS)
    seconds = max(1, int(os.environ.get("FUZZ_SECONDS", "600")) // len(names))
    failed = []
    for name in names:
        grown = FOUND / "corpus" / name
        grown.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "tests.fuzz", "--run", name, f"-max_total_time={seconds}",
            "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0",
            "-print_final_stats=1", f"-artifact_prefix={FOUND}/{name}-", str(grown),
            str(CORPUS / name),
        ]  # fmt: skip
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
        runs = [x for x in done.stderr.splitlines() if "number_of_executed_units" in x]
        print(f"{name}: {''.join(runs).partition(':')[2].strip() or '?'} inputs", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stderr[-4000:], flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "Nothing was found.")
    return 1 if failed else 0


def run(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process, until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["airoxy"]):
        from tests.fuzz.targets import TARGETS

    atheris.Setup([name, *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))
