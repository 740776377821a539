"""Whose key a Bundle is held to: a key that is given names no other sender than the case knows by it."""

from pathlib import Path

import pytest
from share_world import World

from clew.core import forces, keys
from clew.core.errors import Refused
from clew.model import Force
from clew.share.receive import receive


def test_a_given_key_must_be_the_one_that_the_case_holds_of_that_force(world: World) -> None:
    path, case = Path(world.build().path), world.case_of("AT")
    other = keys.public_hex(keys.signing_key("evil", world.keys))
    with pytest.raises(
        Refused, match="from 'EU', and the key that you gave is not that one's: of 'EU' this case holds"
    ):
        receive(case, path, keys_folder=world.keys, sender_key=other)
    forces.add(case, Force("EU", "Coordinator", "BE", None, None, other))
    with pytest.raises(Refused, match="of 'EU' this case holds another"):
        receive(case, path, keys_folder=world.keys, sender_key=world.public("EU"))
    forces.add(case, Force("EU", "Coordinator", "BE", None, None, world.public("EU")))
    assert receive(case, path, keys_folder=world.keys, sender_key=world.public("EU")).new
    case.close()


def test_the_key_of_one_force_makes_no_bundle_another_ones(world: World) -> None:
    path, case = Path(world.build().path), world.case_of("AT", knows_sender=False)
    forces.add(case, Force("FR", "France", "FR", None, None, world.public("EU")))
    with pytest.raises(Refused, match="it is that of FR") as caught:
        receive(case, path, keys_folder=world.keys, sender_key=world.public("EU"))
    assert "clew force add CASE CODE" in caught.value.hint
    assert list((case.folder / "received").iterdir()) == []
    case.close()
