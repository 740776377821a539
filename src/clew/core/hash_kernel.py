"""Makes the machine code that computes MD5, SHA-1 and SHA-256 of the same blocks in one pass.

`python -m clew.core.hash_kernel` writes it to stdout, for the processor that it runs on, or says on stderr why there is
none for it. It is what `clew.core.one_pass` maps: TABLE, and right behind it the function

    blocks(state, little, big, count, table)

`state` are 20 words: A B C D of MD5; D C B A and 0 0 0 E of SHA-1; F E B A and H G D C of SHA-256, as the processor's
SHA instructions want them. `count` blocks of 64 bytes are read at `little` for MD5 and at `big` for the other two: the
same place, but for the padding, which they write in different byte order.

MD5 is a chain of 64 steps, each of which waits for the one before it, on the processor's whole-number units; the other
two are done by its SHA instructions (Intel SDM vol. 2, SHA1RNDS4 to SHA256RNDS2) on its vector units. Step by step in
turn, all three take as long as MD5 alone. All constants are read out of the table, so that the code is independent of
where it lies. (RFC 1321; FIPS 180-4.)
"""

import math
import struct
import sys
from collections.abc import Generator, Iterator
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

TRIPLE = "x86_64-unknown-linux-gnu"
_SECTIONS = {b".text", b".strtab", b".symtab"}  # nothing to link, no constants elsewhere
NEEDED = ("sha", "ssse3", "sse4.1")  # LLVM's names

BYTE, WORD, LONG, POINTER = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.PointerType()
WORDS, BYTES = ir.VectorType(WORD, 4), ir.VectorType(BYTE, 16)

MD5_SINES = [int(abs(math.sin(step + 1)) * 2**32) for step in range(64)]  # RFC 1321, 3.4
MD5_SHIFTS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
MD5_WORDS = list(range(16)) + [
    (first + stride * step) % 16 for first, stride in ((1, 5), (5, 3), (0, 7)) for step in range(16)
]


def _sha256_constants() -> Iterator[int]:
    """FIPS 180-4, 4.2.2: the first 32 bits of the fractions of the cube roots of the first 64 primes, up to 311."""
    for prime in (n for n in range(2, 312) if all(n % m for m in range(2, n))):
        root = round((prime << 96) ** (1 / 3))  # of prime * 2**96: the fraction's 32 bits stand below the whole part
        while root**3 > prime << 96:
            root -= 1
        while (root + 1) ** 3 <= prime << 96:
            root += 1
        yield root % 2**32


SWAPPED = bytes(at ^ 3 for at in range(16))  # the order in which bytes are taken: each word's own bytes turned round
REVERSED = bytes(15 - at for at in range(16))  # and the words too
SINES_AT, SWAPPED_AT, REVERSED_AT = 256, 512, 528
TABLE = struct.pack("<64I64I", *_sha256_constants(), *MD5_SINES) + SWAPPED + REVERSED

State = list[Any]  # values of the IR
Steps = Generator[None, None, State]  # one hash of one block: instructions are emitted step by step


class _Emitter:
    """The instructions that the three hashes are made of."""

    def __init__(self, module: ir.Module, builder: ir.IRBuilder) -> None:
        self._module = module
        self.build = builder

    def call(self, intrinsic: str, *values: Any) -> Any:
        """One instruction of the processor; its result is of its first operand's type."""
        name, kind = f"llvm.{intrinsic}", values[0].type
        function = self._module.globals.get(name)
        if function is None:
            function = ir.Function(self._module, ir.FunctionType(kind, [value.type for value in values]), name)
        return self.build.call(function, values)

    def load(self, kind: ir.Type, base: Any, offset: int) -> Any:
        return self.build.load(self.at(base, offset), typ=kind, align=1)

    def at(self, base: Any, offset: int) -> Any:
        return self.build.gep(base, [LONG(offset)], source_etype=BYTE)

    def pick(self, first: Any, second: Any, *which: int) -> Any:
        """Four of the eight words of two vectors."""
        return self.build.shuffle_vector(first, second, ir.Constant(WORDS, list(which)))

    def pin(self, value: Any, register: str) -> Any:
        """The same value. LLVM's scheduler would put the three hashes one behind the other again; it cannot move
        anything that leads to or from here past another such point.
        """
        kind = ir.FunctionType(value.type, [value.type])
        return self.build.asm(kind, "", f"={register},0", [value], side_effect=True)


def _md5(emit: _Emitter, state: State, block: Any, table: Any) -> Steps:
    """RFC 1321, 3.4. What does not wait for the step before (b) comes first; G is a sum of two terms that share no bit,
    so that b enters it late.
    """
    build, (a, b, c, d) = emit.build, state
    for step in range(64):
        sine = emit.load(WORD, table, SINES_AT + 4 * step)
        total = build.add(build.add(a, sine), emit.load(WORD, block, 4 * MD5_WORDS[step]))
        match step // 16:
            case 0:
                total = build.add(total, build.xor(d, build.and_(b, build.xor(c, d))))
            case 1:
                total = build.add(build.add(total, build.and_(c, build.not_(d))), build.and_(b, d))
            case 2:
                total = build.add(total, build.xor(b, build.xor(c, d)))
            case 3:
                total = build.add(total, build.xor(c, build.or_(b, build.not_(d))))
        turned = emit.call("fshl.i32", total, total, WORD(MD5_SHIFTS[step // 16][step % 4]))
        a, b, c, d = d, emit.pin(build.add(turned, b), "r"), b, c
        yield
    return [build.add(*pair) for pair in zip((a, b, c, d), state, strict=True)]


def _sha1(emit: _Emitter, state: State, block: Any, table: Any) -> Steps:
    """FIPS 180-4, 6.1.2, four steps at a time. E of four steps is A of the four before, turned."""
    build, (abcd, before), schedule = emit.build, state, list[Any]()
    for group in range(20):
        if group < 4:
            schedule.append(_turned(emit, block, 16 * group, table, REVERSED_AT))
        else:
            mixed = build.xor(emit.call("x86.sha1msg1", *schedule[-4:-2]), schedule[-2])
            schedule.append(emit.call("x86.sha1msg2", mixed, schedule[-1]))
        with_e = emit.call("x86.sha1nexte", before, schedule[-1]) if group else build.add(before, schedule[-1])
        before, abcd = abcd, emit.pin(emit.call("x86.sha1rnds4", abcd, with_e, BYTE(group // 5)), "x")
        yield
    return [build.add(abcd, state[0]), emit.call("x86.sha1nexte", before, state[1])]


def _sha256(emit: _Emitter, state: State, block: Any, table: Any) -> Steps:
    """FIPS 180-4, 6.2.2, four steps at a time."""
    build, (abef, cdgh), schedule = emit.build, state, list[Any]()
    for group in range(16):
        if group < 4:
            schedule.append(_turned(emit, block, 16 * group, table, SWAPPED_AT))
        else:
            mixed = build.add(emit.call("x86.sha256msg1", *schedule[-4:-2]), emit.pick(*schedule[-2:], 1, 2, 3, 4))
            schedule.append(emit.call("x86.sha256msg2", mixed, schedule[-1]))
        keyed = build.add(schedule[-1], emit.load(WORDS, table, 16 * group))
        cdgh = emit.call("x86.sha256rnds2", cdgh, abef, keyed)
        abef = emit.pin(emit.call("x86.sha256rnds2", abef, cdgh, emit.pick(keyed, keyed, 2, 3, 2, 3)), "x")
        yield
    return [build.add(abef, state[0]), build.add(cdgh, state[1])]


def _turned(emit: _Emitter, block: Any, offset: int, table: Any, order: int) -> Any:
    """Four words of the block, whose bytes stand with the highest first."""
    found = emit.call("x86.ssse3.pshuf.b.128", emit.load(BYTES, block, offset), emit.load(BYTES, table, order))
    return emit.build.bitcast(found, WORDS)


def _in_turn(*hashes: Steps) -> list[State]:
    """Lets each go one step whenever it is the one that has come least far, and gives what each returns."""
    counts = (64, 20, 16)
    done, ends = [0] * len(hashes), dict[int, State]()
    while len(ends) < len(hashes):
        which = min((n for n in range(len(hashes)) if n not in ends), key=lambda n: done[n] / counts[n])
        try:
            next(hashes[which])
        except StopIteration as end:
            ends[which] = end.value
        done[which] += 1
    return [ends[which] for which in range(len(hashes))]


def module() -> ir.Module:
    """The function `blocks`."""
    made = ir.Module("hash_kernel")
    made.triple = TRIPLE
    function = ir.Function(made, ir.FunctionType(ir.VoidType(), [POINTER, POINTER, POINTER, LONG, POINTER]), "blocks")
    function.attributes.add("nounwind")  # or the code comes with tables for unwinding, which would have to be linked
    state, _, _, _, table = function.args
    entry, head, body, end = map(function.append_basic_block, ("entry", "head", "body", "end"))
    build = ir.IRBuilder(entry)
    emit = _Emitter(made, build)
    places = [(WORD, 0), (WORD, 4), (WORD, 8), (WORD, 12), *((WORDS, offset) for offset in (16, 32, 48, 64))]
    first = [*function.args[1:4], *(emit.load(kind, state, offset) for kind, offset in places)]
    build.branch(head)
    build.position_at_end(head)
    now = [build.phi(value.type) for value in first]
    little, big, left, *words = now
    build.cbranch(build.icmp_unsigned("!=", left, LONG(0)), body, end)
    build.position_at_end(body)
    after = _in_turn(
        _md5(emit, words[:4], little, table), _sha1(emit, words[4:6], big, table), _sha256(emit, words[6:], big, table)
    )
    then = [emit.at(little, 64), emit.at(big, 64), build.sub(left, LONG(1)), *(word for each in after for word in each)]
    build.branch(head)
    for phi, *values in zip(now, first, then, strict=True):
        phi.add_incoming(values[0], entry)
        phi.add_incoming(values[1], body)
    build.position_at_end(end)
    for word, (_, offset) in zip(words, places, strict=True):
        build.store(word, emit.at(state, offset), align=1)
    build.ret_void()
    return made


def machine_code() -> bytes:
    """TABLE and the function, for any x86-64 processor that has what is NEEDED. Raises ValueError where the compiler
    made code that has to be linked: it would depend on where it lies.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = ",".join(f"+{name}" for name in NEEDED)
    target = llvm.Target.from_triple(TRIPLE).create_target_machine(features=features, reloc="pic", codemodel="small")
    compiled = target.emit_object(llvm.parse_assembly(str(module())))
    opened = llvm.ObjectFileRef.from_data(compiled)  # a view: `compiled` must outlive it, and it the loop
    sections: dict[bytes, bytes] = {each.name(): each.data() for each in opened.sections() if each.size()}
    if set(sections) != _SECTIONS:
        raise ValueError(f"the code has the sections {sorted(sections)}")
    return TABLE + sections[b".text"]


def main() -> None:
    """Writes the code to stdout. Ends with the reason where this processor cannot run it."""
    if llvm.get_process_triple().partition("-")[0] != "x86_64":
        sys.exit("the kernel is written for x86-64")
    has = llvm.get_host_cpu_features()
    if lacking := [name for name in NEEDED if not has.get(name)]:
        sys.exit(f"this processor lacks {', '.join(lacking)}")
    sys.stdout.buffer.write(machine_code())


if __name__ == "__main__":
    main()
