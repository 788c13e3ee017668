"""Two runs to the same output at once."""

from __future__ import annotations


def paused(place):
    """Start a run that pauses with some blocks stored."""
    run = place.start(calls=place.calls(len(place.wanted.calls) // 3, "pause"))
    assert run.wait().status == "paused"
    return run


def check_refused(place, *options):
    before = {path.name for path in place.folder.iterdir()}
    ended = place.run(*options)
    assert (ended.status, ended.error["code"]) == (1, "output.busy")
    assert "Another run is writing" in ended.error["message"]
    assert ended.error["hint"]
    assert {path.name for path in place.folder.iterdir()} == before
    return ended.error["message"]


def test_the_second_run_refuses(place, row, any_way):
    twice = place(any_way)
    first = paused(twice)
    said = check_refused(twice)
    check_refused(twice, "--overwrite")
    check_refused(twice, "--no-resume")
    assert f"process {first.pid}" in said
    first.send("SIGCONT")
    twice.check_finished(first.wait())
    row("two runs at once", said.replace(str(first.pid), "PID"), twice)


def test_the_second_run_takes_over_from_a_killed_one(place, row, any_way):
    twice = place(any_way)
    first = paused(twice)
    check_refused(twice)
    first.send("SIGKILL")
    first.send("SIGCONT")
    assert first.wait().status == -9
    ended = twice.check_goes_on()
    row("the first of two is killed", ended.news, twice)


def test_a_run_that_is_first_past_the_post_stays(place, row, any_way):
    """The output appears, from elsewhere, while a run is at work: it is not replaced."""
    late = place(any_way)
    run = paused(late)
    if any_way.name == "zarr":
        late.output.mkdir()
    late.output.joinpath("zarr.json" if any_way.name == "zarr" else "").write_bytes(b"another's")
    run.send("SIGCONT")
    ended = run.wait()
    assert (ended.status, ended.error["code"]) == (1, "output.exists")
    mine = late.output / "zarr.json" if any_way.name == "zarr" else late.output
    assert mine.read_bytes() == b"another's"
    again = late.run("--overwrite")
    late.check_finished(again)
    assert "earlier run" in again.news
    row("the output appears meanwhile", ended.error["message"], late)
