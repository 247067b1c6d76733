"""Backpropagation as a row of pictures."""

import xml.etree.ElementTree as ET

import miniframe as mf
from miniframe import Variable


def example():
    x, y, z = Variable(-2.0, "x"), Variable(5.0, "y"), Variable(-4.0, "z")
    return ((x + y) * z).named("f")


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_five_pictures_tell_the_worked_example(tmp_path):
    pictures = mf.draw_steps(example(), str(tmp_path / "example_{}.svg"))
    values = [[box.value for box in picture.boxes] for picture in pictures]
    grads = [[box.grad for box in picture.boxes] for picture in pictures]
    assert values == [
        ["-2", "5", "-4", "", ""],
        ["-2", "5", "-4", "3", ""],
        *[["-2", "5", "-4", "3", "-12"]] * 3,
    ]
    assert grads == [[""] * 5] * 3 + [["", "", "3", "-4", "1"], ["-4", "-4", "3", "-4", "1"]]
    assert [[box.title for box in p.boxes if box.active] for p in pictures] == [
        [],
        ["+"],
        ["f: ×"],
        ["z", "+"],
        ["x", "y"],
    ]
    for number, picture in enumerate(pictures, 1):
        shown = texts((tmp_path / f"example_{number}.svg").read_text())
        assert [text for box in picture.boxes for _, text in box.lines()] == shown


def test_steps_show_the_gradient_that_has_arrived_so_far():
    x = Variable(3.0, "x")
    pictures = mf.draw_steps(x * x + x)
    assert [p.boxes[0].grad for p in pictures] == ["", "", "", "1", "7"]
