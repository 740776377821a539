"""The end report in words: the plain sentences of `clew intake`."""

from typing import Any

from clew.core import unheld
from clew.core.printable import printable
from clew.intake.account import Account
from clew.intake.families import NOT_READ, ORDER


def words(report: dict[str, Any], account: Account) -> str:
    """All of it, a line each; what is wrong comes first."""
    title = f"{report['label']}: {report['kind']}" + (f", SHA-256 {report['sha256']}" if report["sha256"] else "")
    first = [*_stopped_short(report["runs"]), *_image(report["acquisition"])]
    lines = [*_types(report), *_states(report)]
    lines += [*_stopped(report["known_good"]), *_silent(report), *report["not_asked"]]
    lines += _in_pass(report["runs"])
    lines += [unheld.words(report["not_held"])] if report["not_held"] else []
    lines += [*_tools(report["runs"]), f"isolation: {isolation_words(report['isolation'])}"]
    lines += _effects(report["runs"], report["looks"])
    lines.append("by name: clew show unreadable, unopened, doubtful, unsaid or items CASE LABEL")
    lines.append("what is not listed here was not looked for; that is no statement that nothing else was there")
    told = [*map(printable, [title, *first]), account.words(), *map(printable, lines)]
    return "\n".join(told)


def isolation_words(layers: dict[str, Any]) -> str:
    """Which layers of the sandbox were reached, and which not."""
    reached = [name for name, layer in layers.items() if layer["reached"]]
    lost = [f"{name} NOT reached ({layer['detail']})" for name, layer in layers.items() if not layer["reached"]]
    return ", ".join([*reached, *lost])


def _stopped_short(runs: list[dict[str, Any]]) -> list[str]:
    """Whether the numbers are those of an end."""
    if runs and runs[-1]["seconds"] is not None:
        return []
    return [
        "NOT AT ITS END: the last run was stopped, or goes on; what it has not listed yet is in none of these numbers"
    ]


def _image(acquisition: dict[str, Any]) -> list[str]:
    """Which of the digests that the image itself stores are those of its bytes; the account tells which are not."""
    agree = sorted(name for name, same in acquisition.get("agree", {}).items() if same)
    return [f"the container's own {_and(agree)} agree with what was read"] if agree else []


def _types(report: dict[str, Any]) -> list[str]:
    families = report["families"]
    counts = [f"{name} {families[name]:,}" for name in ORDER if families.get(name)]
    lines = [f"by type, of what was hashed: {', '.join(counts)}"] if counts else []
    if any(families.get(name) for name in NOT_READ):
        lines.append("documents and chats are counted and typed, not read")
    lines += [f"not opened: {_count(each['items'], 'item')}: {each['what']}" for each in report["unopened"]]
    return lines + [_retyped(each) for each in report["retyped"]]


def _retyped(each: dict[str, Any]) -> str:
    """What had another type when it was read again. The first one stays, and archives are opened by that alone."""
    first = each["was"] or "without a type"
    types = f"{_count(each['items'], 'item')}: {first} when first read, {each['now']} when read again"
    if each["unlisted"]:
        return f"NOT OPENED: {types}, and not listed as that: take the exhibit in once more, under another label"
    return f"of another type now: {types}; the first one stays, and another label gets the later one"


def _states(report: dict[str, Any]) -> list[str]:
    names = {name: count for name, count in report["names"].items() if name != "live"}
    lines = []
    if names:
        lines.append("beside live ones: " + ", ".join(f"{count:,} {name}" for name, count in sorted(names.items())))
    lines += [f"  {count:,} by {tool}" for tool, count in sorted(report["found_by"].items())]
    if report["partial"]:
        lines.append(f"{report['partial']:,} contents are partial: some of their bytes are not there, or not right")
    if report["doubted"]:
        whose = "items, deleted, of an earlier file system, or with clusters of another,"
        lines.append(f"{report['doubted']:,} {whose} may hold bytes of another: overwritten possible")
    if report["unvouched"]:
        why = "nothing shows that no other file held them meanwhile"
        lines.append(f"  {report['unvouched']:,} of them lie in clusters that are free, and {why}")
    if report["crossed"]:
        why = "clusters that are another file's in use as well: one of the two has bytes of the other"
        lines.append(f"  {report['crossed']:,} of them lie in {why}")
    if report["erased"]:
        why = "as a drive gives what it was told to forget (TRIM): what they held may be gone"
        lines.append(f"  {report['erased']:,} of them read as zeros alone, or as bytes of 0xFF alone, {why}")
    if report["damaged"]:
        lines.append(f"{_count(report['damaged'], 'picture')} could not be decoded whole: what is missing is made up")
    return lines


def _stopped(sets: list[dict[str, Any]]) -> list[str]:
    return [
        f"known-good: {each['contents']:,} contents were not looked at further, being in {each['name']!r} by SHA-256; "
        "they can be, with --again-known-good"
        for each in sets
    ]


def _silent(report: dict[str, Any]) -> list[str]:
    """What extractors could not say, or not all of; stopped by a budget among it."""
    return [
        f"{each['extractor']} {'has nothing to say' if each['nothing'] else 'could not say all'} of "
        f"{_count(each['contents'], 'content')}: {each['missing']}"
        for each in report["extractors_missing"]
    ]


def _tools(runs: list[dict[str, Any]]) -> list[str]:
    used = dict.fromkeys(run["versions"] for run in runs)
    hashed = dict.fromkeys(run["hashing"] for run in runs if run["hashing"])
    stopped = sum(run["seconds"] is None for run in runs)
    seconds = sum(run["seconds"] or 0 for run in runs)
    line = f"{_count(len(runs), 'run')}, {seconds:,.0f} seconds" + (f", {stopped} of them stopped" if stopped else "")
    return [line, *(f"read with {versions}" for versions in used), *(f"hashed by {how}" for how in hashed)]


def _in_pass(runs: list[dict[str, Any]]) -> list[str]:
    """What the newest run held its contents against on their way."""
    asked = runs[-1]["in_pass"] if runs else {}
    files, entries, left = asked.get("files"), asked.get("ed2k_entries"), asked.get("left")
    lines = []
    if files or entries:
        lines.append(f"held against what earlier exhibits name: {files:,} files of torrents, {entries:,} ed2k entries")
    if asked.get("ed2k_of_all"):
        lines.append("ed2k hashes were asked for of every content that the newest run read whole, at its listed size")
    if left:
        lines.append(f"left to `clew pieces`: {len(left):,} torrents or lists of earlier exhibits")
    if crowded := asked.get("sizes_left"):
        lines.append(f"left to `clew pieces`: files of {crowded:,} sizes that too many files of torrents have")
    return lines


def _effects(runs: list[dict[str, Any]], looks: list[dict[str, Any]]) -> list[str]:
    """What was done to the evidence, by runs and by further looks: access times that could not be left alone."""
    every = [*runs, *looks]
    touched = sum(each["effects"].get("access_times_touched", 0) for each in every)
    lines = [f"{touched:,} openings could not ask the system to leave access times alone"] if touched else []
    live = any("access_times_touched" in each["effects"] for each in every)
    for some, what in ((runs, "stopped run"), (looks, "stopped further look")):
        stopped = sum(each["seconds"] is None for each in some)
        if live and stopped:
            lines.append(f"of {_count(stopped, what)} it is not known how many access times it touched")
    for some, what in ((runs, "run"), (looks, "further look")):
        weak = sorted({layer for each in some for layer in each["weak"]})
        lines += [f"in one {what} at least, isolation was weak: without {_and(weak)}"] if weak else []
    if looks:
        names = dict.fromkeys(each["look"] for each in looks)
        lines.append(f"opened again {_count(len(looks), 'time')}, for: {'; '.join(names)}")
    return lines


def weaknesses(isolation: dict[str, dict[str, Any]]) -> list[str]:
    """The layers that somebody who looked again did not reach, by who it was: workers, or a program of others."""
    found = ((who, name) for who, layers in isolation.items() for name, layer in layers.items() if not layer["reached"])
    return sorted(name if who == "workers" else f"{name} ({who})" for who, name in found)


def _count(number: int, what: str) -> str:
    many = what + ("es" if what.endswith("ch") else "s")
    return f"{number:,} {what if number == 1 else many}"


def _and(names: list[str]) -> str:
    return " and ".join(names)
