"""The layers that kernels are measured on: networks of one op with random weights, compiled as any other."""

from dataclasses import dataclass

import numpy as np

from fedmote.models import planner, quads, writer
from fedmote.models.graph import Code, Graph
from fedmote.models.lowering.weighted import weight_constants

_INPUT = (0.02, -5)  # scale and zero point
_DEVIATIONS = 3.0  # so far from its mean an output saturates
_LARGEST = 127
_INFO = b'{"name":"","labels":[],"features":{}}'


@dataclass(frozen=True)
class Layer:
    """A convolution, depthwise convolution or dense layer (height and width 1), with padding as SAME has it.

    bar: cycles per MAC that the kernel of RP2040 may take. cmsis: what CMSIS-NN takes there; None: not known.
    """

    name: str
    code: Code
    height: int
    width: int
    channels: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    bar: float | None = None
    cmsis: float | None = None

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of the output."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    @property
    def macs(self) -> int:
        """Multiplications."""
        taps = self.kernel[0] * self.kernel[1] * (1 if self.code == Code.DEPTHWISE else self.channels)
        return self.out[0] * self.out[1] * self.outputs * taps


#: the layers of the bars, then others of MLPerf Tiny, person_detect and micro_speech
LAYERS = (
    Layer("conv 1x1 128->128 6x6", Code.CONV, 6, 6, 128, 128, bar=3.5, cmsis=8.97),
    Layer("conv 1x1 16->32 24x24", Code.CONV, 24, 24, 16, 32, bar=6, cmsis=16.2),
    Layer("conv 3x3 16->16 16x16", Code.CONV, 16, 16, 16, 16, (3, 3), bar=4.5, cmsis=10.65),
    Layer("depthwise 3x3 64 12x12", Code.DEPTHWISE, 12, 12, 64, 64, (3, 3), bar=14, cmsis=54.5),
    Layer("dense 640->128", Code.DENSE, 1, 1, 640, 128, bar=5, cmsis=8.26),
    Layer("conv 1x1 8->16 48x48", Code.CONV, 48, 48, 8, 16),
    Layer("conv 1x1 64->64 12x12", Code.CONV, 12, 12, 64, 64),
    Layer("conv 1x1 256->256 3x3", Code.CONV, 3, 3, 256, 256),
    Layer("conv 3x3/2 3->8 96x96", Code.CONV, 96, 96, 3, 8, (3, 3), 2),
    Layer("conv 3x3/2 16->32 32x32", Code.CONV, 32, 32, 16, 32, (3, 3), 2),
    Layer("conv 10x4/2 1->64 49x10", Code.CONV, 49, 10, 1, 64, (10, 4), 2),
    Layer("depthwise 3x3/2 32 24x24", Code.DEPTHWISE, 24, 24, 32, 32, (3, 3), 2),
    Layer("depthwise 3x3 8 48x48", Code.DEPTHWISE, 48, 48, 8, 8, (3, 3)),
    Layer("depthwise 10x8/2 1->8 49x40", Code.DEPTHWISE, 49, 40, 1, 8, (10, 8), 2),
    Layer("dense 128->128", Code.DENSE, 1, 1, 128, 128),
    Layer("dense 4000->4", Code.DENSE, 1, 1, 4000, 4),
)


def compiled(layer: Layer, form: int, seed: int) -> bytes:
    """Return a layer as a .mote file of a weight form.

    Weights are normal, each output's largest is 127; the outputs spread over all of int8.
    """
    random = np.random.default_rng(seed)
    depthwise, dense = layer.code == Code.DEPTHWISE, layer.code == Code.DENSE
    taps = (*layer.kernel, 1 if depthwise else layer.channels)
    real = random.normal(size=(layer.outputs, *taps))
    peaks = np.abs(real).max((1, 2, 3), keepdims=True)
    weights = np.rint(real / peaks * _LARGEST).astype(np.int8)
    scales = (peaks.reshape(-1) / _LARGEST / np.sqrt(np.prod(taps))).astype(np.float32)
    graph = Graph(form)
    x_shape: tuple[int, ...] = (1, layer.height, layer.width, layer.channels)
    y_shape: tuple[int, ...] = (1, *layer.out, layer.outputs)
    if dense:
        x_shape, y_shape = x_shape[::3], y_shape[::3]
    deviation = _INPUT[0] * 256 / np.sqrt(12)  # of inputs that are uniform over int8
    graph.input = x = graph.activation(x_shape, *_INPUT)
    graph.output = y = graph.activation(y_shape, _DEVIATIONS * deviation / 128, 3)
    bias = np.rint(random.normal(size=layer.outputs) * deviation / 4 / (_INPUT[0] * scales)).astype(np.int64)
    stored = weights.reshape(layer.outputs, -1) if dense else weights
    if depthwise:
        stored = np.ascontiguousarray(weights.transpose(3, 1, 2, 0))
    parameters: tuple[int, ...] = (y.zero_point, -128, 127)
    if not dense:
        padding = [
            max((count - 1) * layer.stride + size - length, 0) // 2
            for count, size, length in zip(layer.out, layer.kernel, x_shape[1:3], strict=True)
        ]
        parameters = (x.zero_point, *parameters, layer.stride, layer.stride, 1, 1, *padding)
    constants = weight_constants(graph, x, y, stored, bias, scales)
    graph.op(layer.code, [x, *constants], y, parameters, macs=layer.macs)
    if form == quads.FORM:
        quads.rewrite(graph)
    return writer.write(graph, planner.plan(graph), _INFO)
