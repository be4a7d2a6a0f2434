"""The faces by which systems are compared."""

from rac_unet.scoring.shown_faces import faces_to_compare


def test_compared_faces_depend_on_the_keys_alone():
    keys = [f"k{number}" for number in range(50)]
    rows = faces_to_compare(keys, 24)
    assert len(rows) == 24 and rows == sorted(set(rows))
    chosen = {keys[row] for row in rows}
    assert {keys[::-1][row] for row in faces_to_compare(keys[::-1], 24)} == chosen
    # They are not simply the first ones, which may all show one person.
    assert chosen != set(keys[:24])
    assert faces_to_compare(keys[:3], 24) == [0, 1, 2]
