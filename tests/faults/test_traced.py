"""The logs of a trace come in the order in which their processes began."""

import traced


def test_process_numbers_begin_anew():
    """Beyond its limit the kernel goes on with low numbers: a worker's is then below its supervisor's."""
    assert sorted([300, 301, 32_756, 32_760], key=traced.after(32_755, limit=1 << 15)) == [32_756, 32_760, 300, 301]
