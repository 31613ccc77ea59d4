"""The progress bar: one line, which goes away, in a terminal and in a notebook."""

import nbformat
import pytest
from nbclient import NotebookClient

from sbi_inn.training.progress import bar

CELL = """
from sbi_inn.training.progress import bar

with bar(10, "check", show={show}) as shown:
    shown.update(4)
    shown.refresh()
    {stop}
print("done")
"""


def outputs(show: bool, stop: str) -> list[nbformat.NotebookNode]:
    """Run a cell in a kernel, and give what it leaves."""
    cell = nbformat.v4.new_code_cell(CELL.format(show=show, stop=stop))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return notebook.cells[0].outputs


def test_in_a_terminal_it_goes_to_the_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(10, "check", show=True) as shown:
        shown.update(4)
        shown.refresh()
    captured = capsys.readouterr()
    assert "check:  40%" in captured.err
    assert captured.err.rstrip(" ").endswith("\r")
    assert not captured.out


@pytest.mark.slow
def test_a_notebook_keeps_nothing_of_it() -> None:
    line, said = outputs(True, "pass")
    assert line.output_type == "display_data"
    assert line.data == {"text/plain": ""}
    assert said.text == "done\n"
    (said,) = outputs(False, "pass")
    assert said.text == "done\n"


@pytest.mark.slow
def test_while_it_goes_on_a_notebook_shows_one_line() -> None:
    line, _ = outputs(True, "shown.close = lambda: None")
    assert line.data["text/plain"].startswith("check:")
    assert "\r" not in line.data["text/plain"]
