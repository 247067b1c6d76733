"""Two views of the lab, for the README: backward layer by layer, and a mistake that is caught. Needs Chromium."""

import json
import shutil
from pathlib import Path
from urllib.parse import quote

from miniframe.lab.opening import begin
from miniframe.lab.recipe import Recipe
from miniframe.lab.server import Server
from miniframe.lab.session import Session

HERE = Path(__file__).parent
SPIRALS = {"data": "spirals", "widths": [16, 16], "activation": "tanh"}
DISK = {"widths": [8, 8], "activation": "tanh", "lr": 0.02}


def train(page, epochs):
    """Play until so many epochs are trained, then pause."""
    page.click("[data-testid=play]")
    page.wait_for_function("n => Number(document.querySelector('[data-testid=epoch]').innerText) >= n", arg=epochs)
    page.click("[data-testid=pause]")
    page.wait_for_function("() => document.querySelector('#lab').dataset.playing === 'false'")


def step_through(page):
    """Backward, as it arrives at the second hidden layer."""
    train(page, 150)
    page.click("[data-testid=step-layer]")
    page.wait_for_selector("[data-testid=steps]")
    for _ in range(8):
        page.click("[data-testid=next-layer]")


def catch_a_mistake(page):
    """A transposed gradient, plugged in, trained with, and found."""
    train(page, 60)
    page.click("[data-testid=open-2]")
    page.wait_for_selector("[data-testid=mistake]")
    page.select_option("[data-testid=mistake]", "Transposed")
    train(page, 120)
    page.click("[data-testid=prove]")
    page.wait_for_selector("[data-testid=proof]")


def picture(browser, server, settings, scheme, act, path):
    """One view, after ``act`` has done something on the page."""
    page = browser.new_page(viewport={"width": 1360, "height": 860}, color_scheme=scheme)
    page.goto(f"{server.address}#{quote(json.dumps(settings))}")
    page.wait_for_selector("[data-testid=layer-0]")
    page.wait_for_timeout(500)
    act(page)
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    page.close()
    print(path)


def main():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("figures/lab.py: the views of the lab stay as they are, because no Chromium is installed")
        return
    from playwright.sync_api import sync_playwright

    session = Session(Recipe())
    server, thread = Server(session), begin(session)
    server.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        picture(browser, server, SPIRALS, "light", step_through, HERE / "lab_steps.png")
        picture(browser, server, DISK, "dark", catch_a_mistake, HERE / "lab_mistake.png")
        browser.close()
    server.stop()
    session.close()
    thread.join()


if __name__ == "__main__":
    main()
