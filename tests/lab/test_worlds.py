"""A table of one's own is read, or what is wrong with it is said under its own name."""

import pytest

from miniframe.lab.worlds import from_table

ROWS = "".join(f"{i},{7 * i % 5},{i % 2}\n" for i in range(20))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a;b;label\n1;2;0\n3;4;1\n", "t.csv has semicolons between its columns; save it with commas"),
        (ROWS, "t.csv begins with numbers; put a line with the names of the columns above them"),
        ("a,b,label\n", "t.csv has a line of names and nothing below it"),
        ("a,b,label\n1,2,x\n3,4,y\n", "t.csv has 2 rows; the lab needs at least 4"),
        ("a,b,label\n1,2,x\n", "t.csv has 1 different labels"),
        ("a,b,label\n1,,x\n2,3,y\n", "t.csv cannot be read: expected a line of names"),
        ("label\nx\ny\n", "t.csv cannot be read: expected at least 2 columns"),
        ("a,b,label\n1e39,1,0\n1,1,1\n", "t.csv cannot be read: it holds numbers that are too large for float32"),
        ("a,b,label\n" + "1,2,0\n" * 1_000_000, "t.csv is too large for the lab: 6,000,010 characters"),
    ],
    ids=["semicolons", "no names", "names only", "two rows", "one row", "a gap", "one column", "1e39", "large"],
)
def test_what_is_wrong_with_a_table_is_said(text, words):
    with pytest.raises(ValueError) as error:
        from_table(text, "t.csv", seed=0)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "head",
    [
        "\ufeffa,b,label\n",
        '"a ""x""",b,label\n',
        "<img src=x onerror=alert(1)>,b,label\n",
        "1,b,label\n",
        "a,b,label\r\n",
    ],
)
def test_a_table_is_read_whatever_its_columns_are_called(head):
    assert len(from_table(head + ROWS, "t.csv", seed=0).x) == 15


def test_a_wide_table_is_read():
    head = ",".join(f"c{i}" for i in range(200)) + ",label\n"
    rows = "".join(",".join(str(i * j % 7) for j in range(200)) + f",{'ab'[i % 2]}\n" for i in range(30))
    found = from_table(head + rows, "t.csv", seed=0)
    assert found.x.shape == (22, 200) and found.classes == ["a", "b"]


def test_the_name_of_a_file_is_no_code():
    code = from_table("a,b,label\n" + ROWS, 'x"\nraise SystemExit\n#.csv', seed=0).code
    assert code[0] == 'table = mf.datasets.read_csv("x\\"\\nraise SystemExit\\n#.csv")'
    compile("\n".join(code), "script.py", "exec")
