"""The lab in a real browser: what one sees is what the model holds, and what one does reaches it."""

import base64
import contextlib
import io
import json
import re
import time
from urllib.parse import quote

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.lab.opening import own_session
from miniframe.lab.recipe import Recipe
from miniframe.lab.session import Page as LabPage
from miniframe.lab.session import Session


def text(page, name):
    return page.inner_text(f"[data-testid={name}]")


def click(page, name):
    page.click(f"[data-testid={name}]")


def wait(page, name, words):
    """Until an element shows these words."""
    page.wait_for_function(
        "([name, words]) => document.querySelector(`[data-testid=${name}]`)?.innerText === words", arg=[name, words]
    )


def until(page, holds, seconds=30):
    """Until something holds on this side, the page living on meanwhile."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def drag(page, key):
    """Press a key on the slider of a weight, and wait for the new curve: from then on the lab's thread is at rest."""
    before = page.get_attribute("[data-testid=drag]", "max")
    page.focus("[data-testid=drag]")
    page.keyboard.press(key)
    page.wait_for_function("(max) => document.querySelector('[data-testid=drag]').max !== max", arg=before)
    return float(before)


def same(shown, value):
    """Whether a page shows a number to the digits that it shows."""
    return float(shown.rstrip("%")) == pytest.approx(float(f"{value:.4g}"), rel=1e-9)


def fill(page, name, words):
    page.fill(f"[data-testid={name}]", words)
    page.keyboard.press("Enter")


def test_stepping_shows_the_numbers_of_the_model(lab, small):
    served = lab(small)
    page = served.page()
    assert text(page, "epoch") == "0"
    click(page, "step")
    page.wait_for_function("() => document.querySelector('[data-testid=batch]').innerText.startsWith('1 (loss')")
    click(page, "one-epoch")
    wait(page, "epoch", "1")
    click(page, "one-epoch")
    wait(page, "epoch", "2")
    curve = small.curve
    assert same(text(page, "loss"), curve["loss"][1]) and same(text(page, "test-loss"), curve["val_loss"][1])
    assert same(text(page, "train-error"), 100 * curve["error_rate"][1])
    assert same(text(page, "test-error"), 100 * curve["val_error_rate"][1])
    seen = mf.trace(small.model, *[small.view.batch()[0]], small.loss, small.view.batch()[1])
    for place, call in enumerate(seen):
        assert same(text(page, f"layer-{place}"), np.abs(np.array(call.output, dtype=np.float64)).mean())
        gradient = np.abs(np.array(call.grad_output, dtype=np.float64)).mean()
        assert same(text(page, f"layer-{place}-gradient"), gradient)


def test_play_and_pause(lab, small):
    page = lab(small).page()
    click(page, "play")
    page.wait_for_function("() => Number(document.querySelector('[data-testid=epoch]').innerText) > 20")
    assert page.is_disabled("[data-testid=play]")
    click(page, "pause")
    page.wait_for_function("() => document.querySelector('#lab').dataset.playing === 'false'")
    wait(page, "epoch", str(small.epoch))
    assert same(text(page, "loss"), small.curve["loss"][-1])


def test_a_learning_rate_changes_the_optimizer_and_a_bad_one_is_a_sentence(lab, small):
    page = lab(small).page()
    click(page, "one-epoch")
    wait(page, "epoch", "1")
    fill(page, "learning-rate", "fast")
    wait(page, "message", "the learning rate has to be a number, got 'fast'")
    assert page.input_value("[data-testid=learning-rate]") == "0.01" and small.epoch == 1
    fill(page, "learning-rate", "0.25")
    page.wait_for_function("() => location.hash.includes('0.25')")
    assert small.optimizer.lr == 0.25


def test_a_mistake_is_plugged_in_and_caught(lab, small):
    page = lab(small).page()
    click(page, "prove")
    wait(page, "prove", "✓ proven")
    click(page, "open-2")
    page.wait_for_selector("[data-testid=mistake]")
    page.select_option("[data-testid=mistake]", "Transposed")
    wait(page, "prove", "prove")
    click(page, "prove")
    wait(page, "prove", "✗ not proven")
    assert "transposed" in text(page, "proof")
    page.click("summary:has-text('the loss')")
    page.focus("[data-testid=mistake-loss]")
    page.select_option("[data-testid=mistake-loss]", "WrongSign")
    until(page, lambda: len(small.recipe.mistakes) == 2)
    wait(page, "prove", "prove")
    assert page.is_visible("[data-testid=mistake-loss]"), "what was opened stays open"
    assert page.evaluate("document.activeElement.dataset.testid") == "mistake-loss"
    live = page.eval_on_selector_all("output", "all => all.filter((one) => one.ariaLive !== 'off').length")
    assert not live, "what changes with every frame is not read aloud"


def test_a_point_shows_its_own_gradient(lab, small):
    page = lab(small).page()
    page.click("[data-testid=regions]", position={"x": 60, "y": 80})
    page.wait_for_selector("[data-testid=sample]")
    assert re.search(r"sample \d+ and its own gradient", text(page, "sample")) and "0.weight" in text(page, "sample")


def test_a_number_of_a_gradient_is_the_sum_of_products(lab, small):
    page = lab(small).page()
    click(page, "open-0")
    page.wait_for_selector("[data-testid=parameter-0-gradient]")
    page.focus("[data-testid=parameter-0-gradient]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=products]")
    x, y = small.view.batch()
    grad = mf.trace(small.model, x, small.loss, y)["0"].parameter_grads["weight"]
    assert same(text(page, "products-total"), grad[1, 0].item())


def test_a_weight_can_be_moved(lab, small):
    page = lab(small).page()
    click(page, "open-4")
    page.wait_for_selector("[data-testid=parameter-0]")
    page.focus("[data-testid=parameter-0]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=drag]")
    assert abs(float(text(page, "tangent")) - float(text(page, "secant"))) < 1e-3
    end = drag(page, "End")
    assert np.array(small.model[4].weight.value)[0, 0] == pytest.approx(end, rel=1e-5)


def test_backward_goes_layer_by_layer(lab, small):
    page = lab(small).page()
    click(page, "step-layer")
    page.wait_for_selector("[data-testid=steps]")
    titles = []
    for _ in range(11):
        titles.append(page.inner_text("[data-testid=steps] h3"))
        if not page.is_disabled("[data-testid=next-layer]"):
            click(page, "next-layer")
    assert titles[0].startswith("forward → layer 0") and titles[5] == "loss CrossEntropyLoss()"
    assert titles[6].startswith("← backward CrossEntropyLoss") and titles[-1].startswith("← backward layer 1")
    assert "def backward(self, grad_output" in text(page, "steps")


def test_a_table_is_read_and_one_without_labels_explained(lab, small, tmp_path):
    x, labels = mf.datasets.moons(40)
    rows = [f"{a},{b},{'up' if k else 'down'}" for (a, b), k in zip(x.tolist(), labels.tolist())]
    (tmp_path / "mine.csv").write_text("a,b,label\n" + "\n".join(rows))
    (tmp_path / "bare.csv").write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in x.tolist()))
    page = lab(small).page()
    page.set_input_files("[data-testid=csv]", tmp_path / "bare.csv")
    page.wait_for_function(
        "() => document.querySelector('[data-testid=message]').innerText.startsWith('bare.csv has no classes')"
    )
    assert small.recipe.data == "disk"
    page.set_input_files("[data-testid=csv]", tmp_path / "mine.csv")
    wait(page, "message", "mine.csv: 30 rows to train on, 2 classes")
    click(page, "one-epoch")
    wait(page, "epoch", "1")


def test_the_script_that_is_copied_does_the_same(lab, small):
    page = lab(small).page()
    click(page, "one-epoch")
    wait(page, "epoch", "1")
    fill(page, "learning-rate", "0.2")
    page.wait_for_function("() => location.hash.includes('0.2')")
    click(page, "one-epoch")
    wait(page, "epoch", "2")
    click(page, "code")
    page.wait_for_selector("[data-testid=python]")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(page.input_value("[data-testid=python]"), {})
    found = eval(printed.getvalue().splitlines()[-1])
    assert found == {name: values[-1] for name, values in small.curve.items()}


def test_the_address_holds_the_whole_state(lab, small):
    served = lab(small)
    settings = {"data": "xor", "points": 40, "widths": [3], "activation": "tanh", "lr": 0.5}
    page = served.page(served.server.address + "#" + quote(json.dumps(settings)))
    page.wait_for_function("() => document.querySelector('[data-testid=data]').value === 'xor'")
    page.wait_for_function("() => document.querySelector('[data-testid=open-1]').innerText.includes('Tanh')")
    assert (small.recipe.widths, small.recipe.lr, small.recipe.points) == ((3,), 0.5, 40)
    page.select_option("[data-testid=activation]", "relu")
    page.wait_for_function("() => !location.hash.includes('tanh')")
    other = served.page(served.server.address + "#" + quote(json.dumps({"lr": 0.3})))
    other.wait_for_function("() => document.querySelector('[data-testid=data]').value === 'disk'")
    assert small.recipe == Recipe(lr=0.3), "a link is the whole state, whatever was there before"


def test_points_are_set_by_hand_with_mouse_and_keyboard(lab, small):
    page = lab(small).page()
    tool = page.locator("select[aria-label='what a click on the plane does']")
    tool.select_option("0")
    page.click("[data-testid=regions]", position={"x": 50, "y": 50})
    until(page, lambda: len(small.recipe.placed) == 1)
    click(page, "play")
    wait(page, "message", "set at least one point of each of two classes before training")
    tool.select_option("1")
    page.focus("[data-testid=regions]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    until(page, lambda: len(small.recipe.placed) == 2)
    click(page, "one-epoch")
    wait(page, "epoch", "1")
    assert [label for *_, label in small.recipe.placed] == [0, 1] and "placed" in page.url


def test_two_pages_a_closed_tab_and_a_reload_lose_nothing(lab, small):
    served = lab(small)
    one, two = served.page(), served.page()
    click(one, "one-epoch")
    wait(one, "epoch", "1")
    wait(two, "epoch", "1")
    one.close()
    click(two, "one-epoch")
    wait(two, "epoch", "2")
    two.reload()
    wait(two, "epoch", "2")
    assert same(text(two, "loss"), small.curve["loss"][1])


def test_a_page_says_when_the_lab_has_ended(lab, small):
    served = lab(small)
    page = served.page()
    served.server.stop()
    page.wait_for_function(
        "() => document.querySelector('[data-testid=message]').innerText.startsWith('the lab has ended')"
    )
    click(page, "step")
    assert text(page, "message").startswith("the lab has ended"), "also in answer to a click"
    served.ended = True


def test_the_page_asks_nobody_else_and_is_small(lab, small):
    served = lab(small)
    asked, size = [], 0
    context = served.browser.new_context()
    served.contexts.append(context)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served.server.address)
    page.wait_for_selector("[data-testid=layer-0]")
    from miniframe.lab import page as files

    size = sum(len(files.read(name).encode()) for name in files.NAMES)
    assert all(url.startswith((f"http://127.0.0.1:{served.server.port}/", "data:", "ws:")) for url in asked)
    assert size < 200_000


def test_images_have_maps_and_text_has_heads(lab):
    session = Session(Recipe(data="shapes", points=30, widths=(4,), batch_size=30))
    page = lab(session).page()
    click(page, "open-0")
    page.wait_for_selector("[data-testid=maps] canvas")
    assert "sliding over the picture" in text(page, "sliding")
    page.select_option("[data-testid=data]", "text")
    page.wait_for_selector("[data-testid=write]", state="visible")
    click(page, "write")
    page.wait_for_selector("[data-testid=text]")
    assert "head 1" in text(page, "text")


def test_a_model_of_ones_own_is_shown(lab):
    x, y = mf.datasets.moons(60)
    model = mf.Sequential(mf.Linear(2, 6), mf.Tanh(), mf.Residual(mf.Linear(6, 6)), mf.Linear(6, 2))
    page = lab(own_session(model, x, y, "cross_entropy", "adam")).page()
    click(page, "one-epoch")
    wait(page, "epoch", "1")
    assert not page.is_visible("[data-testid=widths]") and page.is_visible("[data-testid=learning-rate]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_screen(lab, small, scheme, width):
    page = lab(small).page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    click(page, "open-0")
    page.wait_for_selector("[data-testid=layer]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_saved_run_opens_from_disk_and_its_numbers_are_the_historys(lab, small, chromium, tmp_path):
    served = lab(small)
    page = served.page()
    for epoch in ("1", "2", "3"):
        click(page, "one-epoch")
        wait(page, "epoch", epoch)
    with page.expect_download() as download:
        click(page, "record")
    download.value.save_as(tmp_path / "run.html")
    replay = served.contexts[0].new_page()
    replay.on("pageerror", lambda error: served.errors.append(str(error)))
    replay.goto((tmp_path / "run.html").as_uri())
    wait(replay, "epoch", "3")
    assert same(text(replay, "loss"), small.curve["loss"][2])
    replay.focus("[data-testid=scrubber]")
    replay.keyboard.press("Home")
    wait(replay, "epoch", "0")
    replay.keyboard.press("ArrowRight")
    wait(replay, "epoch", "1")
    assert same(text(replay, "loss"), small.curve["loss"][0]) and not replay.is_visible("[data-testid=play]")


WIDGET = """
import widget from "/widget.js";
const heard = [];
window.model = {
  on: (_, listener) => { window.listener = listener; },
  off: () => {},
  send: (command) => heard.push(command),
};
window.heard = heard;
window.say = (text) => window.listener(
  { kind: "lab" }, [new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)]);
widget.render({ model: window.model, el: document.body });
"""


def test_the_widgets_script_shows_what_it_is_sent(chromium, small):
    """As a notebook does it: the script is one module, messages come through the model of the widget."""
    from miniframe.lab import page as files

    context = chromium.new_context()
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    sources = {
        "/": ("text/html", '<!doctype html><meta charset="utf-8"><script type="module" src="/test.js"></script>'),
        "/test.js": ("text/javascript", WIDGET),
        "/widget.js": ("text/javascript", files.bundled("export default { render: renderWidget };")),
    }

    def answer(route):
        kind, body = sources[route.request.url.removeprefix("http://notebook.example")]
        route.fulfill(body=body, content_type=f"{kind}; charset=utf-8")

    page.route("http://notebook.example/**", answer)
    page.goto("http://notebook.example/")
    page.wait_for_function("() => window.heard?.some((command) => command.do === 'join')")
    sent = []
    small.pages.append(LabPage(sent.append))
    small.set_the_scene()
    for message in sent:
        page.evaluate("(text) => window.say(text)", base64.b64encode(message).decode())
    wait(page, "epoch", "0")
    click(page, "one-epoch")
    page.wait_for_function("() => window.heard.some((command) => command.do === 'epoch')")
    assert errors == []
    context.close()


def test_a_damaged_address_is_a_sentence_and_the_lab_goes_on(lab, small):
    served = lab(small)
    for damaged, words in [
        ("%E0%A4%A", "the settings in the address are damaged"),
        (quote("["), "the link does not hold the settings of a lab"),
        (quote('{"widths": [4, 4], "mistakes": [["0", "Transposed"]]}'), "Transposed stands in for a Linear"),
    ]:
        page = served.page(served.server.address + "#" + damaged)
        page.wait_for_function(
            "(words) => document.querySelector('[data-testid=message]').innerText.startsWith(words)", arg=words
        )
        assert text(page, "epoch") == "0" and small.recipe.points == 60
    click(page, "one-epoch")
    wait(page, "epoch", "1")


def test_the_keyboard_stays_where_it_was(lab, small):
    """What a panel is filled with anew does not take the focus away, nor the place on the plane."""
    page = lab(small).page()
    focused = "document.activeElement.dataset.testid"
    click(page, "open-0")
    page.wait_for_selector("[data-testid=parameter-1]")
    page.focus("[data-testid=parameter-1-gradient]")
    page.keyboard.press("ArrowRight")
    assert "[1] = " in page.inner_text("figure:has([data-testid=parameter-1-gradient])"), "a bias has one index"
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=products]")
    assert page.evaluate(focused) == "parameter-1-gradient"
    page.focus("[data-testid=parameter-1]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=drag]")
    for _ in range(3):
        before = np.array(small.model[0].bias.value)[0]
        drag(page, "ArrowRight")
        assert np.array(small.model[0].bias.value)[0] > before
        page.wait_for_timeout(100)
        assert page.evaluate(focused) == "drag"
    page.locator("select[aria-label='what a click on the plane does']").select_option("1")
    page.focus("[data-testid=regions]")
    for count in (1, 2, 3):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        until(page, lambda count=count: len(small.recipe.placed) == count)
        page.wait_for_timeout(100)
    across = [round(x, 3) for x, *_ in small.recipe.placed]
    assert across[1] < across[2], "from where it was, not from the middle again"


def test_a_second_table_can_be_chosen_and_a_dialog_left(lab, small, tmp_path):
    rows = "".join(f"{i},{7 * i % 5},{i % 2}\n" for i in range(20))
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("a,b,label\n" + rows)
    (tmp_path / "large.csv").write_text("a,b,label\n" + "1,2,0\n" * 1_000_000)
    page = lab(small).page()
    page.select_option("[data-testid=data]", "csv")
    page.dispatch_event("[data-testid=csv]", "cancel")
    assert page.input_value("[data-testid=data]") == "disk", "the dialog was closed without a choice"
    page.set_input_files("[data-testid=csv]", tmp_path / "large.csv")
    wait(page, "message", "large.csv is too large for the lab: 5,000,000 characters are the most")
    page.set_input_files("[data-testid=csv]", tmp_path / "one.csv")
    wait(page, "message", "one.csv: 15 rows to train on, 2 classes")
    assert not page.is_visible("[data-testid=points]")
    with page.expect_file_chooser() as chooser:
        click(page, "another-table")
    chooser.value.set_files(tmp_path / "two.csv")
    wait(page, "message", "two.csv: 15 rows to train on, 2 classes")


def test_a_loss_below_zero_and_the_momentum_of_ones_own_optimizer_are_shown(lab):
    class Reward(mf.MSELoss):
        def forward(self, prediction, target):
            return super().forward(prediction, target) - 100

    x = mx.random.normal((40, 2))
    model = mf.Linear(2, 1)
    session = own_session(model, x, x.sum(axis=1, keepdims=True), Reward(), mf.SGD(model, lr=0.01, momentum=0.5))
    page = lab(session).page(viewport={"width": 320, "height": 800})
    for epoch in ("1", "2"):
        click(page, "one-epoch")
        wait(page, "epoch", epoch)
    assert page.input_value("[data-testid=momentum]") == "0.5" and float(text(page, "loss")) < -50
    green = """(canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
        .some((value, i, all) => i % 4 === 1 && value > 120 && all[i - 1] < 100 && all[i + 2] > 100)"""
    assert page.eval_on_selector("[data-testid=curve-loss]", green), "the curve is within its frame"


def test_a_window_on_a_picture_fits_a_narrow_phone(lab):
    session = Session(Recipe(data="shapes", points=30, widths=(4,), batch_size=30))
    page = lab(session).page(viewport={"width": 320, "height": 800})
    page.click("[data-testid=thumbs] button")
    page.wait_for_selector("[data-testid=sliding]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_run_goes_on_where_one_page_steps_through_layers_and_another_is_reloaded_or_closed(lab, small):
    served = lab(small)
    one, two, three = served.page(), served.page(), served.page()
    click(one, "play")
    click(two, "step-layer")
    for _ in range(3):
        click(two, "next-layer")
    assert text(two, "step-place") == "4 of 12"
    one.reload()
    three.close()
    one.wait_for_function("() => Number(document.querySelector('[data-testid=epoch]')?.innerText) > 20")
    click(one, "pause")
    one.wait_for_function("() => document.querySelector('#lab').dataset.playing === 'false'")
    wait(one, "epoch", str(small.epoch))
    wait(two, "epoch", str(small.epoch))
    assert same(text(two, "loss"), small.curve["loss"][-1])
    until(two, lambda: len(small.pages) == 2)
