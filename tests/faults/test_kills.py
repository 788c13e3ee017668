"""kill -9 at any moment, and the same command again."""

from __future__ import annotations

import random

from fault_places import APPEND, GTIFF, NETWORK, checksums, files_in, make_scene

POINTS = 50
AT_ONCE = 5


def kill_and_run_again(places, moments):
    """Kill a run at each place at a moment and run it again; return how many went on.

    Some are at work at the same time, each for itself.
    """
    went_on = 0
    for first in range(0, len(places), AT_ONCE):
        some = places[first : first + AT_ONCE]
        chosen = moments[first : first + AT_ONCE]
        runs = [p.start(calls=p.calls(*moment)) for p, moment in zip(some, chosen, strict=True)]
        assert {run.wait().status for run in runs} == {-9}
        were_there = [place.check_unfinished() for place in some]
        again = [place.start() for place in some]
        for p, run, was_there in zip(some, again, were_there, strict=True):
            ended = run.wait()
            p.check_finished(ended, was_there=was_there)
            went_on += "earlier run" in ended.news
    return went_on


def test_fifty_kills(place, row, any_way):
    places = [place(any_way, str(number)) for number in range(POINTS)]
    moments = random.Random(any_way.name).sample(places[0].wanted.moments, POINTS)
    went_on = kill_and_run_again(places, moments)
    assert went_on > POINTS / 3
    row(f"kill -9 at {POINTS} moments", f"{went_on} of them went on", *places)


def test_kills_in_a_row(place, row, any_way):
    """Killed, taken up and killed again, until it is done."""
    rng = random.Random(7)
    chains = [place(any_way, str(number)) for number in range(4)]
    kills, calls = 0, len(chains[0].wanted.calls)
    for chain in chains:
        ended, was_there = None, False
        while ended is None or ended.status == -9:
            ended = chain.run(calls=chain.calls(rng.randrange(calls // 6, calls)))
            was_there = was_there or (ended.status == -9 and chain.check_unfinished())
            kills += ended.status == -9
            assert kills < 100
        chain.check_finished(ended, was_there=was_there)
    assert kills >= 2 * len(chains)
    row("kill -9 again and again", f"{kills} kills, {len(chains)} files", *chains)


def test_kills_while_an_output_is_replaced(place, row, way, tmp_path, undisturbed):
    """The old one is there until the new one is."""
    old = undisturbed(make_scene(tmp_path / "old.tif", seed=2), way).files
    told, first = tmp_path / "calls", place(way, "first")
    put(old, first.folder)
    calls = {"folder": str(first.folder), "told": str(told)}
    first.check_finished(first.run("--overwrite", calls=calls))
    count = len(told.read_text().split())
    moments = range(count - 1, 0, -max(count // 9, 1))
    places = [place(way, str(at)) for at in moments]
    for each in places:
        put(old, each.folder)
    for first in range(0, len(places), AT_ONCE):
        some = places[first : first + AT_ONCE]
        runs = [p.start("--overwrite", calls=p.calls(int(p.folder.name))) for p in some]
        assert {run.wait().status for run in runs} == {-9}
        for each in some:
            found = files_in(each.folder)
            aside = f"{way.output}.part.old"  # a folder cannot be renamed over another
            found |= {name.replace(aside, way.output): found[name] for name in found}
            assert each.is_identical or old.items() <= found.items()
        for p, again in [(p, p.start("--overwrite")) for p in some]:
            p.check_finished(again.wait())
    row(f"kill -9 at {len(places)} moments with --overwrite", "old or new was there", *places)


def put(files, folder):
    """Write files at their places in a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_kills_with_a_network(place, row):
    places = [place(NETWORK, str(number)) for number in range(3)]
    moments = places[0].wanted.moments[15:24:3]
    assert kill_and_run_again(places, moments) == len(places)
    row(f"kill -9 at {len(places)} moments of geosr-lite", "all went on", *places)


def test_a_plain_geotiff_starts_anew(place, row):
    """GDAL cannot go on with a file; but it may not leave half a one, or anything else."""
    wanted = place(GTIFF, "first").wanted
    places = [place(GTIFF, str(number)) for number in range(len(wanted.calls))]
    kill_and_run_again(places, wanted.moments[: len(places)])
    assert all(p.output.with_name("out.tif.aux.xml").exists() for p in places)


def test_a_resumed_file_has_the_same_checksums(place):
    disturbed, other = place(APPEND), place(APPEND, "other")
    assert disturbed.run(calls=disturbed.calls(20)).status == -9
    disturbed.check_goes_on()
    other.check_finished(other.run())
    assert len(checksums(disturbed.output)) >= 2
    assert checksums(disturbed.output) == checksums(other.output)
