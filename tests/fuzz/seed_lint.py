"""Coverage-guided fuzzing of the seed's parser and lint, by hand:

    pip install atheris
    python -m tests.fuzz.seed_lint -runs=1000000 -max_len=4096

Atheris is no requirement of the tests: it comes as wheels for Linux on x86-64
only, for each Python in another release of its own, and elsewhere wants a
compiler with libFuzzer. Hypothesis asks for the same promises in
tests/policy_text/test_seed_lint.py. Options are libFuzzer's; a folder named among
them keeps the inputs that reached something new.
"""

import io
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["policy_service"]):
    from policy_service.policy_text import seed_text
    from policy_service.rpc import contract_methods
    from tests.support.seeds import SEED, broken_seeds, hold_promises


def one(data: bytes) -> None:
    """Bytes as a file or a pipe would bring them."""
    hold_promises(seed_text(io.BytesIO(data)), contract_methods() if len(data) % 2 else None)


def main() -> None:
    """Fuzz, beginning with the shipped seed and the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        texts = {SEED, *(case.text for level in ("errors", "warnings") for case in broken_seeds(level))}
        for number, text in enumerate(sorted(texts)):
            # The end alone, where the fault mostly is, leaves the fuzzer more to try.
            for part, begun in (("whole", text), ("end", text[-400:])):
                (Path(folder) / f"{number}-{part}").write_bytes(begun.encode("utf-8", "surrogateescape"))
        atheris.Setup([*sys.argv, folder], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
