"""The notebook's cells run, in order, and what they assert holds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "filter_detect_condense.ipynb"


def test_every_cell_of_the_notebook_runs(cars_dir, tmp_path):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    script = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    environment = os.environ | {"TFDS_DATA_DIR": str(cars_dir), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_place_that_is_worked_out_by_hand_lies_on_an_edge_of_the_picture():
    cells = {cell["id"]: cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]}
    by_hand, steps = ("".join(cells[name]["outputs"][0]["data"]["text/plain"]) for name in ("78489093", "df914e45"))
    value, stronger = re.fullmatch(r"\(np\.float32\((.+)\), (.+)\)", steps).groups()
    assert float(value) == pytest.approx(float(re.search(r"\((.+)\)", by_hand)[1]), abs=1e-5)
    assert float(stronger) < 0.01  # of all places answer more strongly


def test_the_notebook_was_run_and_shows_its_figures():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(output["output_type"] != "error" for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
