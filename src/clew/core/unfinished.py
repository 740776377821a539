"""Exhibits that are not at their end: whoever tells what was found in the case has to say that there is more."""

from clew.core.case import Case

# Whose last run was stopped, or goes on, or that have a part which is still to be listed
_UNFINISHED = """
SELECT label FROM exhibits e WHERE EXISTS (SELECT 1 FROM exhibit_runs WHERE exhibit = e.id AND done_ns IS NULL)
  OR (SELECT ended_ns FROM intake_runs WHERE exhibit = e.id ORDER BY started_ns DESC LIMIT 1) IS NULL ORDER BY label
"""


def unfinished(case: Case) -> list[str]:
    """Their labels."""
    return [row["label"] for row in case.read().execute(_UNFINISHED)]
