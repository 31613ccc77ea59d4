"""One zip of JSON and arrays: exact round trips, and a LoadError for whatever is not one."""

import json
import math
import os
import shutil
import subprocess
import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sbi_inn.errors import LoadError
from sbi_inn.files import FORMAT, read, write

CONFIG = {"method": "cinn", "seed": 2**100, "losses": [1.5, -0.0], "nested": {"names": ["a"]}}
ARRAYS = {"weights": {"b": np.arange(3.0), "a": np.eye(2, dtype=np.float32)}, "held_out": {}}
NUMBERS = [*"?bBhHiIqQefd", ">f8", ">i4"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arm.sbi"


@pytest.fixture
def written(path: Path) -> Path:
    write(path, CONFIG, ARRAYS)
    return path


def rewrite(path: Path, changes: dict[str, bytes | None], *, sealed: bool = True) -> None:
    """Replace members of a zip by other bytes, or leave them out; by default with new checksums."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | changes
    kept = {name: content for name, content in contents.items() if content is not None}
    if sealed:
        lines = [
            f"{sha256(content).hexdigest()}  {name}\n"
            for name, content in kept.items()
            if name != "SHA256SUMS"
        ]
        kept["SHA256SUMS"] = "".join(lines).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)


def rewrite_config(path: Path, **changes: object) -> None:
    """Change single settings of a written file."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    rewrite(path, {"config.json": json.dumps(config | changes).encode()})


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Same dtype but for the order of bytes, same shape, same bits."""
    assert found.dtype == expected.dtype.newbyteorder("=")
    assert found.shape == expected.shape
    assert found.tobytes() == expected.astype(found.dtype).tobytes()


def test_config_comes_back_with_format_and_library(written: Path) -> None:
    config, _ = read(written)
    assert {name: config[name] for name in CONFIG} == CONFIG
    assert math.copysign(1, config["losses"][1]) == -1
    assert config["format"] == FORMAT == 3
    assert config["library"] == version("sbi-inn")
    assert set(config) == {*CONFIG, "format", "library", "members"}


def test_arrays_come_back_in_order_and_writable(written: Path) -> None:
    _, arrays = read(written)
    assert list(arrays) == ["weights", "held_out"]
    assert list(arrays["weights"]) == ["b", "a"]
    assert arrays["held_out"] == {}
    for name, array in ARRAYS["weights"].items():
        assert_same(arrays["weights"][name], array)
        arrays["weights"][name][...] = 7


def test_a_file_read_and_written_again_is_the_same_bytes(written: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.sbi"
    write(again, *read(written))
    assert again.read_bytes() == written.read_bytes()


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (4,), (2, 3)])
def test_arrays_of_every_type_and_shape_come_back_exactly(
    path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
    write(path, {}, {"group": {"array": array}})
    assert_same(read(path)[1]["group"]["array"], array)


@pytest.mark.parametrize("array", [np.eye(3, 2).T, np.arange(9.0)[::-2], np.eye(4)[1:, ::2]])
def test_views_come_back_as_they_look(path: Path, array: np.ndarray) -> None:
    write(path, {}, {"group": {"array": array}})
    np.testing.assert_array_equal(read(path)[1]["group"]["array"], array)


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, min_side=0)))
def test_any_floats_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "floats.sbi"
    write(path, {}, {"group": {"array": array}})
    assert_same(read(path)[1]["group"]["array"], array)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_any_settings_come_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.sbi"
    write(path, {"value": value}, {})
    # repr tells nan from nan's absence, -0.0 from 0.0 and True from 1, where == does not.
    assert repr(read(path)[0]["value"]) == repr(value)


def test_non_finite_numbers_are_strict_json(path: Path) -> None:
    write(path, {"best": [math.inf, -math.inf, math.nan, np.float32("inf")]}, {})
    with zipfile.ZipFile(path) as archive:
        text = archive.read("config.json").decode()
    assert "NaN" not in text
    assert "Infinity" not in text
    best = read(path)[0]["best"]
    assert best[:2] == [math.inf, -math.inf]
    assert math.isnan(best[2])
    assert best[3] == math.inf


def test_numpy_scalars_and_tuples_become_python_values(path: Path) -> None:
    write(path, {"a": np.int64(3), "b": np.bool_(True), "c": (np.float64(0.1), 2)}, {})
    config, _ = read(path)
    assert repr([config["a"], config["b"], config["c"]]) == "[3, True, [0.1, 2]]"


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.array([object()]),
        np.array([1j]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.array([1.0], dtype=np.longdouble),
        np.zeros(1, dtype=[("x", float)]),
        [1.0, 2.0],
    ],
    ids=["str", "object", "complex", "datetime", "longdouble", "structured", "list"],
)
def test_other_arrays_are_a_type_error_that_says_where(path: Path, array: object) -> None:
    with pytest.raises(TypeError, match=r"held_out\['status'\]: expected"):
        write(path, {}, {"held_out": {"status": array}})  # pyright: ignore
    assert not path.exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"a": [{"b": {1, 2}}]}, r"config\['a'\]\[0\]\['b'\]: JSON cannot hold a set"),
        ({"a": np.zeros(2)}, r"config\['a'\]: JSON cannot hold a ndarray"),
        ({"a": {1: 2}}, r"config\['a'\]: keys are strings .* got 1"),
        ({"a": {"$float": "nan"}}, r"config\['a'\]: keys are strings .* got '\$float'"),
    ],
)
def test_settings_that_json_cannot_say(path: Path, config: dict, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        write(path, config, {})


@pytest.mark.parametrize("group", ["", "../up", "a b", "a/b", "a.b"])
def test_a_group_needs_a_name_fit_for_a_file(path: Path, group: str) -> None:
    with pytest.raises(ValueError, match="group names are of letters"):
        write(path, {}, {group: {}})


def test_the_name_that_safetensors_keeps_to_itself(path: Path) -> None:
    with pytest.raises(ValueError, match="weights: safetensors keeps the name '__metadata__'"):
        write(path, {}, {"weights": {"__metadata__": np.zeros(1)}})


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written.read_bytes()

    def disk_full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match="no space left"):
        write(written, {"other": 1}, {})
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_a_written_file_is_as_readable_as_any_other(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    assert written.stat().st_mode == other.stat().st_mode


def test_a_missing_file_or_a_folder(path: Path, tmp_path: Path) -> None:
    for missing in (path, tmp_path):
        with pytest.raises(LoadError, match="there is no such file"):
            read(missing)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    with pytest.raises(LoadError, match=r"arm\.sbi: not a file of sbi_inn, or truncated"):
        read(written)


def test_something_that_is_not_a_zip(path: Path) -> None:
    path.write_text("alpha, beta\n1, 2\n")
    with pytest.raises(LoadError, match="not a file of sbi_inn, or truncated"):
        read(path)


def test_a_zip_with_other_content(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    with pytest.raises(LoadError, match=r"a zip, but .* holds no config\.json"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe\xff", b'{"format": {"$float": "one"}}', b'{"format": NaN']
)
def test_broken_json(written: Path, content: bytes) -> None:
    rewrite(written, {"config.json": content})
    with pytest.raises(LoadError, match=r"config\.json is damaged"):
        read(written)


@pytest.mark.parametrize("content", [b"[1]", b"{}", b'{"format": "1"}', b'{"format": true}'])
def test_json_of_someone_else(written: Path, content: bytes) -> None:
    rewrite(written, {"config.json": content})
    with pytest.raises(LoadError, match="a whole number, 1 or more, under 'format'"):
        read(written)


@pytest.mark.parametrize("members", [None, ["weights"], {"weights": 3}])
def test_members_that_are_no_lists_of_names(written: Path, members: object) -> None:
    rewrite_config(written, members=members)
    with pytest.raises(LoadError, match="should list the file's arrays under 'members'"):
        read(written)


def test_a_newer_format_says_which_version_to_get(written: Path) -> None:
    rewrite_config(written, format=FORMAT + 1, library="9.8.7")
    installed = version("sbi-inn")
    message = rf"by sbi_inn 9\.8\.7 in format 4; the installed sbi_inn {installed} .* Upgrade"
    with pytest.raises(LoadError, match=message):
        read(written)


def test_an_older_format_is_refused(written: Path) -> None:
    rewrite_config(written, format=1, library="0.1.0")
    with pytest.raises(LoadError, match=r"by sbi_inn 0\.1\.0 in format 1, .* no longer reads"):
        read(written)


def test_a_missing_member(written: Path) -> None:
    rewrite(written, {"weights.safetensors": None})
    with pytest.raises(LoadError, match=r"weights\.safetensors is missing"):
        read(written)


def test_a_member_that_is_no_safetensors(written: Path) -> None:
    rewrite(written, {"weights.safetensors": b"not tensors at all"})
    with pytest.raises(LoadError, match=r"weights\.safetensors is damaged"):
        read(written)


def test_a_member_that_holds_other_arrays(written: Path) -> None:
    rewrite_config(written, members={"weights": ["a", "c"]})
    with pytest.raises(LoadError, match=r"should hold \['a', 'c'\]; it holds \['a', 'b'\]"):
        read(written)


def test_the_checksums_are_those_of_sha256sum(written: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(written) as archive:
        archive.extractall(tmp_path / "inside")
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum here")
    done = subprocess.run(command, cwd=tmp_path / "inside", capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "config.json: OK",
        *[f"{g}.safetensors: OK" for g in ARRAYS],
    ]


@pytest.mark.parametrize("number", [3, 2])
def test_settings_edited_by_hand(written: Path, number: int) -> None:
    with zipfile.ZipFile(written) as archive:
        config = json.loads(archive.read("config.json")) | {"seed": 7, "format": number}
    rewrite(written, {"config.json": json.dumps(config).encode()}, sealed=False)
    with pytest.raises(LoadError, match=r"changed since it was written.*: config\.json should be"):
        read(written)


def test_members_that_are_swapped_left_out_or_added(written: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(written) as archive:
        weights, held_out = (archive.read(f"{name}.safetensors") for name in ARRAYS)
    for changes in (
        {"weights.safetensors": held_out, "held_out.safetensors": weights},
        {"weights.safetensors": None},
        {"more.txt": b""},
    ):
        copy = Path(shutil.copy(written, tmp_path / "copy.sbi"))
        rewrite(copy, changes, sealed=False)
        with pytest.raises(LoadError, match="changed since it was written"):
            read(copy)


def test_without_its_checksums_only_a_file_of_format_2_is_read(written: Path) -> None:
    rewrite(written, {"SHA256SUMS": None}, sealed=False)
    with pytest.raises(LoadError, match="incomplete: SHA256SUMS is missing"):
        read(written)
    rewrite_config(written, format=2)
    rewrite(written, {"SHA256SUMS": None}, sealed=False)
    assert read(written)[0]["seed"] == 2**100


def test_a_bomb_is_refused_before_it_is_read(written: Path, monkeypatch) -> None:
    with zipfile.ZipFile(written, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.safetensors", bytes(10_000_000))
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(LoadError, match=r"5 members of 10,00.,... bytes in a file of"):
        read(written)


def test_too_many_members_or_one_name_twice(written: Path) -> None:
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(written, "a") as archive,
    ):
        archive.writestr("config.json", b"{}")
    with pytest.raises(LoadError, match=r"it holds config\.json 2 times"):
        read(written)
    with zipfile.ZipFile(written, "w") as archive:
        for number in range(20_001):
            archive.writestr(str(number), b"")
    with pytest.raises(LoadError, match="20,001 members"):
        read(written)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100 + "1" + "}" * 100])
def test_deep_json_is_refused_before_it_is_read(written: Path, text: str) -> None:
    rewrite(written, {"config.json": text.encode()})
    with pytest.raises(LoadError, match="nested 100[,0]* deep; expected at most 64"):
        read(written)


def test_brackets_in_texts_are_not_deep(written: Path) -> None:
    rewrite_config(written, last_check='[[[\\"{{{' * 100)
    assert read(written)[0]["last_check"] == '[[[\\"{{{' * 100


# -- where a file is written -----------------------------------------------------------------------


def test_a_link_stays_and_what_it_leads_to_is_replaced(written: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = written.rename(tmp_path / "folder" / "real.sbi")
    written.symlink_to(target)
    write(written, {"seed": 3}, {})
    assert written.is_symlink()
    assert read(target)[0]["seed"] == 3
    assert sorted(tmp_path.rglob("*.sbi")) == [written, target]


def test_a_link_to_nothing_makes_the_file_that_it_names(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "later.sbi")
    write(path, {"seed": 3}, {})
    assert path.is_symlink()
    assert not (tmp_path / "later.sbi").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_the_permissions_of_a_file_are_kept(written: Path, mode: int) -> None:
    written.chmod(mode)
    write(written, {"seed": 3}, {})
    assert written.stat().st_mode & 0o777 == mode
    assert read(written)[0]["seed"] == 3


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_not_replaced(path: Path, make) -> None:
    make(path)
    before = path.stat().st_mode
    with pytest.raises(OSError, match="expected a new name or a file to replace; it is"):
        write(path, CONFIG, ARRAYS)
    assert path.stat().st_mode == before
    assert list(path.parent.iterdir()) == [path]


def test_no_damaged_byte_is_anything_but_a_load_error_or_harmless(written: Path) -> None:
    content = written.read_bytes()
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        written.write_bytes(damaged)
        try:
            _, arrays = read(written)
        except LoadError:
            refused += 1
        else:
            for name, array in ARRAYS["weights"].items():
                assert_same(arrays["weights"][name], array)
    assert refused > len(content) / 2
