"""Damaged files and random command lines, for tests/attack/test_files.py: ``python fuzzed_files.py FOLDER SEED CASES``.

Every case has a seed of its own; ``python fuzzed_files.py FOLDER SEED 1 KIND`` runs one of them again, with the
traceback of what went wrong. Results go to FOLDER/results.json; FOLDER/now names the case in progress, for the case
that ends the process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gzip
import io
import json
import os
import random
import resource
import shutil
import struct
import sys
import tarfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from accidents import changed, damaged

import miniframe as mf
from miniframe import cli, demo
from miniframe.bench import runner
from miniframe.datasets import cifar
from miniframe.datasets.mnist import read_idx
from miniframe.saving.files import CHECKSUM, KEY, checksum

SECONDS = 60  # that one case may take
ROOM = 4 * 2**30  # bytes of addresses, beyond what the process begins with
GROWTH = 300 * 2**20  # bytes that one case may add to the most memory that the process ever had
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(mf.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
CLEAR = (ValueError, OSError)  # what a damaged file may raise


# -------------------------------------------------------------------- what is damaged, and who reads it


def models() -> list[tuple[mf.Module, mx.array]]:
    """A few models that have most of what files hold: wiring, statistics, windows, recurrence, tuples, dtypes."""
    mf.seed(0)
    image = mf.Sequential(
        mf.Conv2d(1, 2, 3, padding=1), mf.BatchNorm(2), mf.ReLU(), mf.MaxPool2d(2), mf.Flatten(), mf.Linear(8, 3)
    )
    x = mf.Input(shape=(4,))
    h = mf.Linear(4, 4)(x)
    graph = mf.Graph(x, (mf.Tanh()(h) + h)[:, 1:3])
    words = mf.Sequential(mf.Embedding(5, 4), mf.GRU(4, 3), mf.Dropout(0.5), mf.LayerNorm(3))
    return [
        (image, mx.ones((2, 4, 4, 1))),
        (graph, mx.ones((2, 4))),
        (words, mx.array([[0, 1, 4], [2, 2, 3]])),
    ]


class Kind:
    """Files of one kind: whole ones, and what reads them.

    Args:
        folder: to write into.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "file"
        self.prepare()

    def prepare(self) -> None:
        """Make the whole files."""

    def case(self, rng: random.Random) -> None:
        """One damaged file, read; ends in peace or in an error that is judged."""
        self.path.write_bytes(damaged(rng.choice(self.whole()), rng))
        self.read(rng)

    def whole(self) -> list[bytes]:
        raise NotImplementedError

    def read(self, rng: random.Random) -> None:
        raise NotImplementedError


class SavedModel(Kind):
    def prepare(self) -> None:
        self.models = models()
        self.files = []
        for model, _ in self.models:
            model.save(self.folder / "whole")
            self.files.append((self.folder / "whole").read_bytes())

    def whole(self) -> list[bytes]:
        return self.files

    def read(self, rng: random.Random) -> None:
        mf.load(self.path)


class Description(SavedModel):
    """A whole file with a checksum that is right, and a changed description: made so on purpose."""

    def case(self, rng: random.Random) -> None:
        number = rng.randrange(len(self.files))
        self.path.write_bytes(self.files[number])
        arrays, metadata = mx.load(str(self.path), format="safetensors", return_metadata=True)
        text = json.dumps(changed(json.loads(metadata[KEY]), rng))
        mx.save_safetensors(f"{self.path}.safetensors", arrays, {KEY: text, CHECKSUM: checksum(arrays, text)})
        os.replace(f"{self.path}.safetensors", self.path)
        mf.load(self.path)


class Weights(Kind):
    def prepare(self) -> None:
        self.model = models()[0][0]
        self.model.save_weights(self.folder / "whole")
        foreign = {f"{k}.{name}": mx.ones((3, 2)) for k in range(2) for name in ("weight", "bias")}
        mx.save_safetensors(str(self.folder / "foreign.safetensors"), foreign)
        self.files = [(self.folder / name).read_bytes() for name in ("whole", "foreign.safetensors")]

    def whole(self) -> list[bytes]:
        return self.files

    def read(self, rng: random.Random) -> None:
        if rng.random() < 0.5:
            self.model.load_weights(self.path, strict=rng.random() < 0.5)
        else:
            mf.interop.load_torch_weights(self.model, self.path, strict=False)


class Checkpoint(Kind):
    def prepare(self) -> None:
        self.run = self.folder / "run"
        self.train(3)
        self.files = {path.name: path.read_bytes() for path in self.run.iterdir()}

    def train(self, epochs: int) -> None:
        mf.seed(0)
        model = mf.Sequential(mf.Linear(2, 3), mf.Dropout(0.5), mf.Linear(3, 2))
        x, y = np.ones((8, 2), np.float32), np.zeros((8, 2), np.float32)
        model.fit(
            x, y, loss="mse", optimizer=mf.Adam(model), epochs=epochs, verbose=0, seed=0, checkpoint=self.run,
            resume=True, callbacks=[mf.EarlyStopping("loss", patience=9)],
        )  # fmt: skip

    def case(self, rng: random.Random) -> None:
        hurt = rng.sample(sorted(self.files), rng.choice((1, 1, 2, 3)))
        for name, data in self.files.items():
            (self.run / name).write_bytes(damaged(data, rng) if name in hurt else data)
        self.path = self.run
        self.train(3)


class Idx(Kind):
    def whole(self) -> list[bytes]:
        images = bytes([0, 0, 8, 3]) + struct.pack(">3I", 5, 7, 6) + bytes(range(210))
        numbers = bytes([0, 0, 14, 1]) + struct.pack(">I", 9) + np.arange(9.0).astype(">f8").tobytes()
        return [images, numbers, gzip.compress(images), gzip.compress(numbers), gzip.compress(bytes(2**18))]

    def case(self, rng: random.Random) -> None:
        data = damaged(rng.choice(self.whole()), rng)
        self.path.write_bytes(gzip.compress(data) if rng.random() < 0.3 else data)
        read_idx(self.path, 2**26)


class Csv(Kind):
    def whole(self) -> list[bytes]:
        numbers = "".join(f"{k / 7},{-k},{k % 3}\n" for k in range(20))
        words = "".join(f'{k}, {k}e-3,"cat {k % 2}"\r\n' for k in range(20))
        return [f"a,b,label\n{rows}".encode() for rows in (numbers, words)] + [b"a,b\n", b"\xef\xbb\xbfa,b\n1,2\n"]

    def read(self, rng: random.Random) -> None:
        classes = rng.choice((None, None, ["cat 0", "cat 1"]))
        mf.datasets.read_csv(self.path, classes)


class Npz(Kind):
    """Weights as NumPy keeps them."""

    def prepare(self) -> None:
        self.model = mf.Linear(3, 2)
        state = {name: np.array(value) for name, value in self.model.state_dict().items()}
        self.files = []
        for save in (np.savez, np.savez_compressed):
            out = io.BytesIO()
            save(out, **state)
            self.files.append(out.getvalue())

    def whole(self) -> list[bytes]:
        return self.files

    def read(self, rng: random.Random) -> None:
        try:
            with open(self.path, "rb") as file:
                found = np.load(file)
                state = {name: found[name] for name in found} if hasattr(found, "keys") else {"weight": found}
        except Exception as error:  # in NumPy's own words
            raise OSError("NumPy refuses the file") from error
        try:
            self.model.load_state_dict(state)
        except TypeError as error:  # for what holds no numbers; as clear as the others
            raise ValueError(str(error)) from error


class Tokens(Kind):
    def prepare(self) -> None:
        text = "the cat sat on the mat, and the rat sat on the cat"
        self.files = []
        for tokenizer in (mf.datasets.CharTokenizer(text), mf.datasets.BytePairTokenizer.learn(text, 270)):
            tokenizer.save(self.folder / "whole")
            self.files.append((self.folder / "whole").read_bytes())

    def whole(self) -> list[bytes]:
        return self.files

    def case(self, rng: random.Random) -> None:
        data = rng.choice(self.files)
        self.path.write_bytes(
            json.dumps(changed(json.loads(data), rng)).encode() if rng.random() < 0.7 else damaged(data, rng)
        )
        kind = rng.choice((mf.datasets.CharTokenizer, mf.datasets.BytePairTokenizer))
        tokenizer = kind.load(self.path)
        tokenizer.decode(tokenizer.encode("the cat"))


class Archive(Kind):
    def whole(self) -> list[bytes]:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in cifar.MEMBERS["train"]:
                member = tarfile.TarInfo(f"cifar/{name}")
                member.size = 2 * cifar.RECORD
                archive.addfile(member, io.BytesIO(bytes(member.size)))
        return [out.getvalue()]

    def case(self, rng: random.Random) -> None:
        (data,) = self.whole()
        if rng.random() < 0.6:
            self.path.write_bytes(gzip.compress(damaged(data, rng)))
        else:
            self.path.write_bytes(damaged(gzip.compress(data), rng))
        (self.folder / cifar.ARCHIVE).write_bytes(self.path.read_bytes())
        self.path = self.folder / cifar.ARCHIVE
        mf.datasets.cifar10("train", self.folder)


class Commands(Kind):
    """Random command lines. What takes long is left out: the demo's training, and all timing."""

    WORDS = (
        *"new demo info bench exercises check grade start --help --version --points --epochs --seed --figures".split(),
        *"--rounds --workloads --json --figure --reset --all --gradescope --csv --only --seconds --memory".split(),
        *"0 1 -1 7 1e3 nan inf abc ² ١ 4.2 9.9 1.1 disk-1k mlp . .. /dev/full /dev/null no/where file a.png".split(),
        *("-", "--", "", " ", "\n", "a\nb", "é", "\udcff", "x" * 5000, str(2**31), str(2**70), "0" * 5000, "--see"),
    )  # fmt: skip

    def prepare(self) -> None:
        def trained(model: Any, points: int, epochs: int, seed: int, **options: Any) -> Any:
            x, _ = mf.datasets.disk(min(points, 100), seed=seed)
            return mf.History()

        demo.train_disk = trained
        runner.measure = lambda work, rounds: {"title": work.title, "ms_per_epoch": {"this": 1.0}}
        runner.table = lambda result: ""

    def case(self, rng: random.Random) -> None:
        count = rng.choice((0, 1, 1, 2, 2, 3, 4, 6))
        arguments = [rng.choice(self.WORDS[:7]), *rng.choices(self.WORDS, k=count)][rng.random() < 0.1 :]
        place = self.folder / "here"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "file").write_bytes(rng.randbytes(50))
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", e) for e in ("strict", "backslashreplace"))
        os.chdir(place)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = cli.main(arguments)
            except SystemExit as error:
                status = error.code
            out.flush()
        err.flush()
        said = err.buffer.getvalue().decode()
        if status not in (0, 1, 2) or (status and not said.strip() and not out.buffer.getvalue()):
            raise AssertionError(f"{arguments}: status {status} without a word")
        if said.count("\n") > 1 or "Traceback" in said:
            raise AssertionError(f"{arguments}: more than a line: {said}")
        if status:
            raise ValueError(said.strip()[:900] or "help on standard output")


KINDS: dict[str, Callable[[Path], Kind]] = {
    "saved model": SavedModel,
    "description of a model": Description,
    "weights": Weights,
    "checkpoint": Checkpoint,
    "idx": Idx,
    "csv": Csv,
    "npz": Npz,
    "tokens": Tokens,
    "archive": Archive,
    "command line": Commands,
}


# -------------------------------------------------------------------- one case, and many


def trouble(kind: Kind, seed: int) -> tuple[str | None, bool]:
    """What is wrong with the outcome of a case, in words, and whether the file was refused."""
    before, refused = most_memory(), False
    try:
        kind.case(random.Random(seed))
    except CLEAR as error:
        refused = True
        if not is_clear(str(error)):
            return f"{type(error).__name__}, which is no clear line: {str(error)!r}", refused
    except BaseException as error:
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}", refused
    grown = most_memory() - before
    return (f"took {grown / 2**20:.0f} MiB of memory" if grown > GROWTH else None), refused


def is_clear(words: str) -> bool:
    """One line that can be read; the list of weights that do not fit has several."""
    first, *more = words.split("\n")
    return 10 < len(first) < 1000 and (not more or "the weights do not fit" in first) and "object at 0x" not in words


def most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run(folder: Path, seed: int, cases: int, names: list[str]) -> dict[str, tuple[list[Any], int]]:
    """For every kind, what went wrong, (seed of the case, words), and how many files were refused."""
    found: dict[str, tuple[list[Any], int]] = {}
    for name in names:
        place = folder / name.replace(" ", "_")
        place.mkdir(parents=True, exist_ok=True)
        kind, wrong, total = KINDS[name](place), [], 0
        for number in range(cases):
            own = seed if cases == 1 else int.from_bytes(random.Random(f"{seed} {name} {number}").randbytes(6), "big")
            (folder / "now").write_text(f"{name}, seed {own}, case {number + 1}")
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            words, refused = trouble(kind, own)
            faulthandler.cancel_dump_traceback_later()
            total += refused
            if words is not None and len(wrong) < 5:
                wrong.append((own, words))
        found[name] = wrong, total
    return found


def limit_memory() -> None:
    """Whoever asks for more gets a MemoryError, where the system would otherwise end processes to find it."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)


if __name__ == "__main__":
    limit_memory()
    warnings.simplefilter("ignore")
    where, seed, cases, *names = sys.argv[1:]
    results = run(Path(where), int(seed), int(cases), names or list(KINDS))
    Path(where, "results.json").write_text(json.dumps(results))
    for name, (wrong, refused) in results.items():
        print(f"{name}: {refused} of {cases} refused", *(f"{name}, seed {own}: {why}" for own, why in wrong), sep="\n")
