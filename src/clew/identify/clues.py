"""Clues: what files say of the camera, person, document or place that they come from, and which say the same.

They suggest, and make no Link: what a file says of itself can be edited, and one number may be that of many cameras.
"""

from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import labels, named, standing

PLACE = "gps"
NAMES = (
    *("artist", "camera.make", "camera.model", "camera.owner", "camera.serial", "camera.serial.internal"),
    *("image.unique_id", "lens.model", "lens.serial", "note.content_identifier", "note.image_unique_id"),
    *("video.comment", "video.location", "video.title"),
    *("xmp.author", "xmp.document", "xmp.document.original", "xmp.instance", "xmp.owner", "xmp.serial"),
    *("xmp.lens.serial", "xmp.latitude", "xmp.longitude"),
    *(f"exiftool.{each}SerialNumber" for each in ("", "Internal", "Camera", "Body", "Lens")),
    *("exiftool.OwnerName", "exiftool.ImageUniqueID", "exiftool.ContentIdentifier"),
)
"""Traits whose value may be that of other files too. `PLACE` beside them: latitude and longitude of one Content."""
_NEWER = """
  CASE WHEN content NOT IN (SELECT content FROM said WHERE name = 'camera.make' AND text = 'Apple') THEN name
  WHEN name = 'exiftool.ContentIdentifier' THEN 'note.content_identifier'
  WHEN name = 'exiftool.ImageUniqueID' AND content NOT IN (SELECT content FROM said WHERE name = 'image.unique_id')
  THEN 'note.image_unique_id' ELSE name END"""
"""The name now of what exiftool said of Apple's notes before clew itself read them."""
_KEPT = ", ".join(f"'{name}'" for name in (*NAMES, "gps.latitude", "gps.longitude", "time.original"))
_SAID = shards.newest(f"name IN ({_KEPT}) AND missing IS NULL")
_ALERT = "SELECT DISTINCT content FROM hits WHERE kind = 'alert' AND state = 'stands' AND part = ''"
_CLUES = f"""
said AS MATERIALIZED (SELECT * FROM {_SAID}),
told AS (
  SELECT DISTINCT content, {_NEWER} AS name, coalesce(text, integer::VARCHAR) AS value FROM said
  WHERE trim(value) <> '' AND said.name <> 'time.original'
  UNION
  SELECT a.content, '{PLACE}', printf('%.5f, %.5f', a.number, o.number) FROM said a JOIN said o
  ON a.content = o.content AND a.extractor = o.extractor AND a.name = 'gps.latitude' AND o.name = 'gps.longitude'
),
taken AS (
  SELECT content, text, left(regexp_replace(text, '\\D', '', 'g'), 14) AS nth FROM said
  WHERE name = 'time.original' AND regexp_matches(text, '[1-9]')
),
held AS MATERIALIZED (
  SELECT DISTINCT ON (sha256, item) sha256, item, exhibit, content_state FROM contents
  WHERE sha256 IN (SELECT content FROM told)
  ORDER BY sha256, item, content_state = 'partial', content_state = 'complete'
)"""  # noqa: S608 - our own words
_COUNTED = f"""
WITH {_CLUES}
SELECT t.name, t.value, count(DISTINCT t.content) AS contents,
  count(DISTINCT t.content) FILTER (t.content IN (SELECT unnest($alert::BLOB[]))) AS known,
  count(DISTINCT t.content) FILTER (t.content IN (SELECT sha256 FROM held GROUP BY sha256
    HAVING bool_and(coalesce(content_state, 'complete') <> 'complete'))) AS doubtful,
  list(DISTINCT c.exhibit) FILTER (c.exhibit IS NOT NULL) AS exhibits,
  arg_min(k.text, k.nth) AS first, arg_max(k.text, k.nth) AS last
FROM told t LEFT JOIN (SELECT DISTINCT sha256, exhibit FROM held) c ON c.sha256 = t.content
  LEFT JOIN taken k ON k.content = t.content
GROUP BY ALL ORDER BY count(DISTINCT c.exhibit) DESC, contents DESC, t.name, t.value
"""  # noqa: S608
_SAYING = f"""
WITH {_CLUES}
SELECT t.name, t.content, c.exhibit, c.item, l.path, l.name_state, c.content_state, min(k.text) AS taken,
  t.content IN (SELECT unnest($alert::BLOB[])) AS known
FROM told t LEFT JOIN held c ON c.sha256 = t.content LEFT JOIN listings l ON l.item = c.item
  LEFT JOIN taken k ON k.content = t.content
WHERE t.value = $value GROUP BY ALL ORDER BY t.name, min(k.nth), t.content, c.exhibit, l.path, c.item
"""  # noqa: S608


def clues(case: Case) -> Iterator[dict[str, Any]]:
    """Each value that a file of the case says, and how many say it: those of several Exhibits first.

    `first` and `last` are the earliest and latest time of which these files say that they were taken then, as written;
    `known` how many of them an alert set knows; `doubtful` how many are complete at no place: what these say may be
    another's.
    """
    exhibits = labels(case)
    for batch in shards.query(case, _COUNTED, {"alert": _alert(case)}).to_batches():
        for row in batch.to_pylist():
            yield row | {"exhibits": sorted(exhibits.get(each, each) for each in row["exhibits"] or ())}


def saying(case: Case, value: str) -> Iterator[dict[str, Any]]:
    """Every place of every Content that says exactly `value`, under which Trait's name, in order of the times taken."""
    exhibits = labels(case)
    rows = shards.query(case, _SAYING, {"alert": _alert(case), "value": value}).to_pylist()
    for row in standing(case, rows):
        told = {name: row[name] for name in ("name", "name_state", "content_state", "taken", "known")}
        where = {"exhibit": exhibits.get(row["exhibit"], row["exhibit"]), **named(row["path"])}
        yield told | where | {"content": row["content"].hex()}


def _alert(case: Case) -> list[bytes]:
    return [bytes(row["content"]) for row in case.read().execute(_ALERT)]
