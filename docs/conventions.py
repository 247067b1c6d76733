"""Writes docs/conventions.md, the table of what four libraries do differently; a test fails when it is out of date.

python docs/conventions.py
"""

from pathlib import Path

from miniframe.interop.conventions import table

PAGE = Path(__file__).parent / "conventions.md"
HEAD = """# Conventions

Where miniframe, PyTorch, mlx.nn and Keras look alike and are not. `mf.interop` minds all of it when models and weights
go from one to the other, but for settings that a file of weights does not hold, such as Keras' epsilons. The tests
compute every entry with the library itself. `mf.interop.conventions()` prints the table.

"""

if __name__ == "__main__":
    PAGE.write_text(HEAD + table() + "\n")
    print(PAGE)
