"""The pool: each poisonous item costs itself alone, nothing is lost or doubled, what waits is bounded."""

import os
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import engine_entries as entries
import pytest

from clew.core import engine
from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.core.errors import ClewError, Refused
from clew.model import Missing, Reason

LIMITS = Limits(seconds=1.0, seconds_per_mb=1.0, memory=256 << 20, output=16 << 20)
HERE = "engine_entries"


@pytest.fixture(scope="module")
def pool():
    with Pool(2, (HERE,), LIMITS, Policy()) as started:
        yield started


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def answers(pool, entry, payload, fds=(), size=0):
    return list(pool.run([Task("the one", f"{HERE}:{entry}", payload, fds, size)]))


def answer(pool, entry, payload, fds=()):
    (outcome,) = answers(pool, entry, payload, fds)
    assert outcome.last
    return outcome.reply


def test_whoever_may_not_go_on_is_not_held_up_by_a_worker_that_is_busy(monkeypatch):
    """It says nothing for as long as it may; the pool asks all the same, and lets it go."""
    monkeypatch.setattr(engine, "LOOK", 0.02)
    asked = []

    def may():
        asked.append(None)
        if len(asked) > 20:
            raise Refused("stopped", "")

    with Pool(1, (HERE,), Limits(100, 0, 256 << 20, 1 << 20), Policy(), may=may) as fresh:
        asked.clear()
        with pytest.raises(Refused):
            answers(fresh, "poison", {"kind": "loop"})


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        ("segfault", Reason.UNREADABLE, "SIGSEGV"),
        ("kill", Reason.LIMIT_REACHED, "SIGKILL"),
        ("exit", Reason.UNREADABLE, "exit status 7"),
        ("loop", Reason.LIMIT_REACHED, "time: more than 1 seconds"),
        ("memory", Reason.LIMIT_REACHED, "memory"),
        ("exception", Reason.UNPARSABLE, "ValueError: no such ? chunk"),
        ("absent", Reason.ENCRYPTED, "a password is needed"),
        ("giant", Reason.LIMIT_REACHED, "an answer of 33554432 bytes"),
        ("giant text", Reason.LIMIT_REACHED, "an answer of"),
        ("no json", Reason.UNPARSABLE, "TypeError"),
        ("nan", Reason.UNPARSABLE, "ValueError"),
        ("half character", Reason.UNPARSABLE, "UnicodeEncodeError"),
    ],
)
def test_a_poisonous_item_is_named_and_the_pool_goes_on(pool, kind, reason, said):
    missing = answer(pool, "poison", {"kind": kind})
    assert isinstance(missing, Missing)
    assert missing.reason is reason
    assert said in missing.detail
    assert answer(pool, "echo", {"n": 5}) == Reply(5)


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff" * 64,  # a length beyond every limit
        b"\x00" * 64,  # an empty frame
        entries.frame(b"[1"),
        entries.frame(b"{}"),
        entries.frame(b'[999,"reply",true,1,[]]'),  # another task's number
        entries.frame(b'[1,"hello"]'),
        entries.frame(b'[1,"reply",true,NaN,[]]'),
        entries.frame(b'[1,"reply",true,"\\ud800",[]]'),
        entries.frame(b'[1,"reply",true,1,[-1]]'),
        entries.frame(b'[1,"reply",true,1,[5]]', b"four"),
        entries.frame(b'[1,"reply",true,1,[true]]', b"x"),
        entries.frame(b'[1,"reply",1,1,[]]'),
        entries.frame(b'[1,"missing","because",""]'),
        entries.frame(b'[1,"missing","unknown",7]'),
        entries.frame(b"[" * 100_000),
        entries.frame(b'[0,"ready",{}]'),
        entries.frame(b'[1,"reply",true,1,[]]', total=3),
        entries.frame(b"\xff\xfe"),
    ],
    ids=range(18),
)
def test_a_worker_that_breaks_the_rules_is_ended(junk):
    with Pool(1, (HERE,), LIMITS, Policy()) as fresh:
        missing = answer(fresh, "raw", {"hex": junk.hex()})
        assert isinstance(missing, Missing)
        assert missing.reason is Reason.UNREADABLE
        assert "broke the rules of its pipe" in missing.detail
        assert answer(fresh, "echo", {"n": 1}) == Reply(1)


def test_a_worker_that_closes_its_pipe_but_lives_is_ended(pool):
    missing = answer(pool, "closes_its_pipe", {})
    assert isinstance(missing, Missing)
    assert answer(pool, "echo", {"n": 1}) == Reply(1)


def test_two_thousand_tasks_with_five_poisonous_ones(pool):
    poison = {17: "segfault", 400: "loop", 401: "memory", 1203: "exit", 1999: "kill"}
    tasks = (Task(str(n), f"{HERE}:poison", {"n": n, "kind": poison.get(n)}) for n in range(2000))
    outcomes = list(pool.run(tasks))
    assert Counter(outcome.task.id for outcome in outcomes) == Counter(str(n) for n in range(2000))
    assert {int(o.task.id) for o in outcomes if isinstance(o.reply, Missing)} == set(poison)
    assert all(o.reply == Reply(int(o.task.id)) for o in outcomes if isinstance(o.reply, Reply))


def test_a_stream_keeps_what_came_before_the_crash(pool):
    outcomes = answers(pool, "stream", {"parts": 5, "kind": "segfault"})
    assert [o.reply for o in outcomes[:-1]] == [Reply(n, (b"%d" % n,)) for n in range(5)]
    assert [o.last for o in outcomes] == [False] * 5 + [True]
    assert isinstance(outcomes[-1].reply, Missing)


def test_a_stream_that_raises_keeps_what_came_before(pool):
    outcomes = answers(pool, "stream", {"parts": 2, "kind": "exception"})
    assert [o.last for o in outcomes] == [False, False, True]
    assert isinstance(outcomes[-1].reply, Missing)


def test_the_last_part_of_a_whole_stream_says_so(pool):
    outcomes = answers(pool, "stream", {"parts": 3})
    assert [(o.reply, o.last) for o in outcomes] == [(Reply(n, (b"%d" % n,)), n == 2) for n in range(3)]


def test_an_empty_stream_is_one_empty_answer(pool):
    assert answer(pool, "stream", {"parts": 0}) == Reply(None)


def test_the_time_allowed_grows_with_the_bytes(pool):
    (outcome,) = answers(pool, "poison", {"kind": "loop"}, size=1_000_000)
    assert outcome.reply == Missing(Reason.LIMIT_REACHED, "time: more than 2 seconds")


def test_time_that_the_caller_spends_elsewhere_is_not_the_items():
    with Pool(1, (HERE,), Limits(0.3, 0, 256 << 20, 1 << 20), Policy()) as quick:
        outcomes = []
        for outcome in quick.run(Task(str(n), f"{HERE}:echo", {"n": n}) for n in range(50)):
            outcomes.append(outcome)
            if len(outcomes) == 1:
                select.select([], [], [], 0.6)
        assert [o.reply for o in outcomes] == [Reply(n) for n in range(50)]


def test_tasks_are_drawn_no_faster_than_they_are_answered(pool):
    drawn, answered, ahead = 0, 0, []

    def source():
        nonlocal drawn
        for n in range(3000):
            drawn += 1
            yield Task(str(n), f"{HERE}:echo", {"n": n})

    for _ in pool.run(source()):
        answered += 1
        ahead.append(drawn - answered)
    assert answered == 3000
    assert max(ahead) <= 2 * 2 * 64  # both workers' windows, and what one turn of the loop brought back


def test_large_items_are_not_sent_ahead(pool):
    drawn = []

    def source():
        for n in range(6):
            drawn.append(n)
            yield Task(str(n), f"{HERE}:echo", {"n": n}, bytes=100 << 20)

    run = pool.run(source())
    next(run)
    assert len(drawn) <= 2 * 2 + 1
    assert len(list(run)) == 5


def test_slow_items_are_given_one_by_one_and_the_run_ends(pool):
    outcomes = list(pool.run(Task(str(n), f"{HERE}:slow", {"n": n}) for n in range(12)))
    assert sorted(o.reply.value for o in outcomes) == list(range(12))
    assert answer(pool, "echo", {"n": 3}) == Reply(3)


def test_descriptors_arrive_read_only_and_are_closed_here(pool, tmp_path):
    before = descriptors()
    file = tmp_path / "evidence"
    file.write_bytes(b"as it was")
    writable = os.open(file, os.O_RDWR)
    assert answer(pool, "write_to", {}, (writable,)) == Missing(
        Reason.UNPARSABLE, "OSError: [Errno 9] Bad file descriptor"
    )
    readable = os.open(file, os.O_RDONLY), os.open(file, os.O_RDWR)
    assert answer(pool, "content", {}, readable) == Reply(None, (b"as it was", b"as it was"))
    assert file.read_bytes() == b"as it was"
    assert descriptors() == before


def test_descriptors_stay_with_their_tasks_through_crashes(pool, tmp_path):
    def source():
        for n in range(200):
            (tmp_path / str(n)).write_bytes(b"%d" % n)
            fds = tuple(os.open(tmp_path / str(n), os.O_RDONLY) for _ in range(n % 3))
            entry = "last_descriptor_read" if n in (50, 104) else "content"
            yield Task(str(n), f"{HERE}:{entry}", {}, fds)

    before = descriptors()
    outcomes = {int(o.task.id): o.reply for o in pool.run(source())}
    assert len(outcomes) == 200
    for n, reply in outcomes.items():
        assert isinstance(reply, Missing) if n in (50, 104) else reply.blobs == (b"%d" % n,) * (n % 3)
    assert descriptors() == before


def test_leaving_a_run_early_leaves_nothing_behind(pool, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    before = descriptors()
    run = pool.run(Task(str(n), f"{HERE}:content", {}, (os.open(tmp_path / "file", os.O_RDONLY),)) for n in range(1000))
    next(run)
    run.close()
    assert answer(pool, "echo", {"n": 1}) == Reply(1)
    assert descriptors() == before


def test_an_error_of_the_source_is_the_callers(pool):
    def source():
        yield Task("0", f"{HERE}:echo", {"n": 0})
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(pool.run(source()))
    assert answer(pool, "echo", {"n": 1}) == Reply(1)


def test_only_preloaded_modules_can_be_entered(pool):
    with pytest.raises(ValueError, match="preloaded"):
        list(pool.run([Task("0", "os:getcwd", {})]))


def test_a_worker_that_cannot_import_says_which_module():
    with pytest.raises(ClewError, match="no_such_module"), Pool(1, ("no_such_module",), LIMITS, Policy()):
        pass


def test_a_worker_that_worked_long_enough_is_replaced():
    with Pool(1, (HERE,), LIMITS, Policy(cpu_seconds=1)) as short:
        first = answer(short, "environment", {}).value[1]
        for _ in range(60):
            answers(short, "stream", {"parts": 2000})
            if answer(short, "environment", {}).value[1] != first:
                return
        pytest.fail("the first worker went on beyond its time")


def test_a_worker_is_small_and_knows_nothing_of_our_environment(pool, monkeypatch):
    monkeypatch.setenv("CLEW_KEYS", "/secret")
    with Pool(1, (HERE,), LIMITS, Policy()) as fresh:
        environment, _ = answer(fresh, "environment", {}).value
        assert "CLEW_KEYS" not in environment
        assert environment["OMP_NUM_THREADS"] == "1"
        assert environment["TZ"] == "UTC0"
        assert not {"numba", "pyarrow", "duckdb", "subprocess", "asyncio", "llvmlite"} & set(
            answer(fresh, "modules", {}).value
        )


def test_workers_die_with_their_supervisor(tmp_path):
    script = tmp_path / "supervisor.py"
    script.write_text(
        f"import os, sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from clew.core.engine import *\n"
        "with Pool(1, ('engine_entries',), Limits(60, 0, 1 << 28, 1 << 20), Policy()) as pool:\n"
        "    task = lambda entry: Task('0', 'engine_entries:' + entry, {'kind': 'loop'})\n"
        "    for outcome in pool.run(map(task, ['environment', 'poison'])):\n"
        "        print(outcome.reply.value[1], flush=True)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as supervisor:
        worker = os.pidfd_open(int(supervisor.stdout.readline()))
        try:
            assert select.select([worker], [], [], 0)[0] == []
            supervisor.send_signal(signal.SIGKILL)
            assert select.select([worker], [], [], 20)[0] == [worker]
        finally:
            os.close(worker)


def asking(pool, entry, payload, fds=()):
    return pool.ask(Task("asked", f"{HERE}:{entry}", payload, fds))


def test_a_question_outside_of_a_run_is_answered(pool):
    assert asking(pool, "echo", {"n": 7}) == Reply(7)
    assert asking(pool, "stream", {"parts": 3}) == Reply(2, (b"2",))
    assert asking(pool, "stream", {"parts": 0}) == Reply(None)
    assert isinstance(asking(pool, "poison", {"kind": "segfault"}), Missing)
    with pytest.raises(ValueError, match="preloaded"):
        pool.ask(Task("0", "os:getcwd", {}))


@pytest.mark.parametrize("workers", [1, 2])
def test_questions_while_a_run_draws_its_tasks(workers):
    """Every kind of death on both sides: nothing is lost, nothing doubled, every question has its own answer."""
    poison = {30: "segfault", 111: "exit", 112: "kill", 250: "loop"}
    deadly = {2: "exit", 5: "segfault", 6: "kill", 9: "exception"}
    asked = {}

    def source(pool):
        for n in range(400):
            if n % 20 == 10:
                at = n // 20
                asked[at] = asking(pool, "poison", {"n": at, "kind": deadly.get(at)})
            yield Task(str(n), f"{HERE}:poison", {"n": n, "kind": poison.get(n)})

    with Pool(workers, (HERE,), LIMITS, Policy()) as fresh:
        outcomes = list(fresh.run(source(fresh)))
    assert Counter(o.task.id for o in outcomes) == Counter(str(n) for n in range(400))
    assert {int(o.task.id) for o in outcomes if isinstance(o.reply, Missing)} == set(poison)
    assert all(o.reply == Reply(int(o.task.id)) for o in outcomes if isinstance(o.reply, Reply))
    assert {at for at, reply in asked.items() if isinstance(reply, Missing)} == set(deadly)
    assert all(reply == Reply(at) for at, reply in asked.items() if at not in deadly)


def test_questions_keep_their_descriptors_apart(pool, tmp_path):
    def opened(text):
        (tmp_path / text).write_bytes(text.encode())
        return (os.open(tmp_path / text, os.O_RDONLY),)

    asked = []

    def source():
        for n in range(120):
            if n % 7 == 3:
                asked.append(asking(pool, "content", {}, opened(f"q{n}")).blobs)
            yield Task(str(n), f"{HERE}:{'last_descriptor_read' if n == 50 else 'content'}", {}, opened(f"t{n}"))

    assert asking(pool, "echo", {"n": 1}) == Reply(1)  # and so every worker is there
    before = descriptors()
    outcomes = {int(o.task.id): o.reply for o in pool.run(source())}
    assert asked == [(b"q%d" % n,) for n in range(120) if n % 7 == 3]
    assert {n for n, reply in outcomes.items() if reply != Reply(None, (b"t%d" % n,))} == {50}
    assert descriptors() == before


def test_a_source_may_have_nothing_just_now(pool):
    def source():
        for n in range(300):
            if n % 3:
                yield None
            else:
                yield Task(str(n), f"{HERE}:echo", {"n": n})

    assert sorted(o.reply.value for o in pool.run(source())) == list(range(0, 300, 3))


def test_time_spent_on_questions_is_not_the_items():
    """One worker is asked slow things while another item waits behind: its own limit is not touched by that."""
    with Pool(1, (HERE,), Limits(0.3, 0, 256 << 20, 1 << 20), Policy()) as quick:

        def source():
            for n in range(6):
                yield Task(str(n), f"{HERE}:echo", {"n": n})
                for at in range(4):
                    assert asking(quick, "slow", {"n": at}) == Reply(at)

        assert [o.reply for o in quick.run(source())] == [Reply(n) for n in range(6)]
