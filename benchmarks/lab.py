"""What the lab costs, measured: the size of a frame, the training it slows down, and the time until a page shows it.

    python benchmarks/lab.py            # prints the numbers, and writes benchmarks/results/lab.json; needs Chromium

The disk model (1,000 points, batches of 100, three hidden layers of 25) trains with ``fit`` alone and in the lab with a
page that keeps up, both taking turns; the ratio of the epochs per second is what the frames cost. With a browser: from
``one batch`` to the painted frame, and from the start of the process to the first picture.
"""

import own_kernels  # noqa: F401  isort: skip

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import miniframe as mf
from miniframe.bench.sides import side
from miniframe.lab import page as files
from miniframe.lab.opening import begin
from miniframe.lab.recipe import Recipe
from miniframe.lab.session import Page, Session

DISK = Recipe(points=1000, widths=(25, 25, 25), batch_size=100, optimizer="sgd", lr=0.1)
BROWSER = {"points": 1000, "widths": [25, 25, 25]}
SECONDS, ROUNDS = 4.0, 7
RESULTS = Path(__file__).parent / "results" / "lab.json"


class Until(mf.Callback):
    """Ends a training when its time is over."""

    def on_train_begin(self, logs=None):
        self.end, self.epochs = time.perf_counter() + SECONDS, 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        self.model.stop_training = time.perf_counter() > self.end


def alone() -> float:
    """Epochs per second of ``fit``, with the same validation and metrics."""
    session, clock = Session(DISK), Until()
    data, started = session.data, time.perf_counter()
    session.model.fit(
        data.x,
        data.y,
        loss=session.loss,
        optimizer=session.optimizer,
        epochs=10**9,
        batch_size=DISK.batch_size,
        seed=0,
        metrics=["error_rate"],
        validation_data=data.validation,
        callbacks=[clock],
        verbose=0,
    )
    return clock.epochs / (time.perf_counter() - started)


def in_the_lab() -> tuple[float, float, float]:
    """(epochs per second, frames per second, bytes of a frame) while a page looks on."""
    session, sizes = Session(DISK), []

    def seen(message: bytes) -> None:
        sizes.append(len(message))
        session.commands.put((page, {"do": "seen"}))

    page = Page(seen)
    thread = begin(session)
    session.commands.put((page, {"do": "join"}))
    session.commands.put((page, {"do": "play"}))
    while not session.epoch:
        time.sleep(0.01)
    sizes.clear()
    before, started = session.epoch, time.perf_counter()
    time.sleep(SECONDS)
    epochs, seconds, frames = session.epoch - before, time.perf_counter() - started, len(sizes)
    session.close()
    thread.join()
    return epochs / seconds, frames / seconds, statistics.median(sizes)


def in_a_browser(path: str) -> dict[str, float]:
    """Milliseconds from the start to the first picture, and from a step to its paint."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        started = time.perf_counter()
        command = [sys.executable, "-m", "miniframe", "lab", "--no-browser"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        address = [process.stdout.readline() for _ in range(2)][1].strip()
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        page.wait_for_selector("[data-testid=layer-0]")
        first = 1000 * (time.perf_counter() - started)
        page.evaluate("(text) => { location.hash = encodeURIComponent(text); }", json.dumps(BROWSER))
        page.wait_for_function("() => document.querySelector('[data-testid=open-6]')")
        steps = [page.evaluate(STEP) for _ in range(30)]
        process.terminate()
        process.wait()
        browser.close()
    return {"start to first picture, ms": first, "step to paint, ms": statistics.median(steps)}


STEP = """() => new Promise((done) => {
  const batch = document.querySelector("[data-testid=batch]"), started = performance.now();
  const watch = new MutationObserver(() => {
    watch.disconnect();
    requestAnimationFrame(() => done(performance.now() - started));
  });
  watch.observe(batch, { childList: true, characterData: true, subtree: true });
  document.querySelector("[data-testid=step]").click();
})"""


def main() -> None:
    rounds = [(alone(), *in_the_lab()) for _ in range(ROUNDS)]
    found = {
        "side": side("mlx"),
        "fit, epochs per second": statistics.median(r[0] for r in rounds),
        "lab over fit": statistics.median(r[1] / r[0] for r in rounds),
        "frames per second": statistics.median(r[2] for r in rounds),
        "bytes of a frame": statistics.median(r[3] for r in rounds),
        "bytes of the page": sum(len(files.read(name).encode()) for name in files.NAMES),
    }
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium:
        found |= in_a_browser(chromium)
    for name, value in found.items():
        print(f"{name:<28}{value if isinstance(value, (dict, str)) else f'{value:,.4g}'}")
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
