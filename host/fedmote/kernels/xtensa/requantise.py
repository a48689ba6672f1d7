"""From an int32 sum to an output, exactly, by the product of 64 bits: docs/kernels.md."""

from fedmote.kernels.xtensa_lx import Label, Register, Xtensa

_MOST_BITS = 31  # further to the right everything is 0


class Requantise:
    """Writes the code. bounds: registers with y's zero point and its lowest and highest value. work: four
    registers that it changes."""

    def __init__(self, code: Xtensa, bounds: tuple[Register, ...], work: tuple[Register, ...]) -> None:
        self._code = code
        self.bounds = bounds
        self.multiplier, self.right, self._other, self.result = work
        self._rare: list[tuple[Label, Label, Register]] = []

    def prepare(self, shift: Register) -> None:
        """Turn a shift into what ``emit`` takes: the bits to the right, less 1; negative where there are
        none. Changes two registers of ``work``, none of which ``shift`` may be."""
        code = self._code
        code.movi(self._other, -1)
        code.xor(shift, shift, self._other)
        code.movi(self.result, _MOST_BITS)
        code.min(shift, shift, self.result)

    def emit(self, total: Register) -> None:
        """Turn a sum into an output by ``multiplier`` and ``right``, a prepared shift."""
        self.scale(total)
        zero, low, high = self.bounds
        self._code.add(total, self.result, zero)
        self._code.max(total, total, low)
        self._code.min(total, total, high)

    def scale(self, total: Register) -> None:
        """Leave the same without zero point and bounds in ``result``. Changes ``total``."""
        code, other, result = self._code, self._other, self.result
        rare, done = Label(), Label()
        code.branch_on_zero("ltz", self.right, rare)
        self._multiply(total)
        code.srai(total, total, 31)  # halves are rounded away from zero
        code.addx2(result, result, other)
        code.add(result, result, total)
        code.ssr(self.right)
        code.sra(result, result)
        code.addi(result, result, 1)
        code.srai(result, result, 1)
        code.place(done)
        self._rare.append((rare, done, total))

    def finish(self) -> None:
        """Write what is rare, shifts to the left or none, where the code does not come by itself."""
        code, other, result = self._code, self._other, self.result
        for rare, done, total in self._rare:
            code.place(rare)
            code.movi(other, -1)
            code.xor(other, self.right, other)
            code.ssl(other)
            code.sll(total, total)
            self._multiply(total)
            code.addx2(result, result, other)
            code.j(done)
        self._rare.clear()

    def _multiply(self, total: Register) -> None:
        """Leave the product's upper half in ``result`` and its rounded bits 30 and 31 in ``other``."""
        code, other, result = self._code, self._other, self.result
        code.mulsh(result, total, self.multiplier)
        code.mull(other, total, self.multiplier)
        code.extui(other, other, 30, 2)
        code.addi(other, other, 1)
        code.srli(other, other, 1)
