"""The kernels and how one is chosen. Each is a package of op
functions under one contract; same bits from all.

An op function gets its buffers and constants once and returns ``run``, a function without arguments that
computes the output from the input, as often as it is called. Views of activations hold signed int8, those of
the file (weights, int32 constants) plain bytes. A kernel tells in WEIGHT_FORMS which weight forms of
docs/mote-format.md it takes, and in BLOCKS how ops are bound whose weights stay in the file: "alike", once
for all blocks, as no constant is looked at before run(); "kept", for each block, once; "anew", each time, as
what is bound keeps too much. The float functions are the steps of training.

Functions lie in families, one module each, so that a board loads only what its network needs. What a kernel
does not have, it takes from the kernel that its FALLBACK names, and so on; ``plain`` has everything and no
FALLBACK. A package whose interpreter or processor cannot run it raises ImportError or SyntaxError when it is
imported.
"""

#: every kernel, the fastest first, as packages of this one
KERNELS = ("armv6m", "armv8m", "rv32", "xtensa", "viper", "ulab", "plain")

#: function -> the family, a module of a kernel's package, that it lies in
FAMILIES = {
    "dense": "dense",
    "softmax": "softmax",
    "conv": "conv",
    "depthwise": "conv",
    "products": "products",
    "taps": "taps",
    "average_pool": "pool",
    "max_pool": "pool",
    "mean": "pool",
    "add": "elementwise",
    "mul": "elementwise",
    "lookup": "elementwise",
    "dequantize": "elementwise",
    "move": "move",
    "fill": "move",
    "gather": "move",
    "affine": "training",
    "affine_backward": "training",
    "descend": "training",
}


class Kernel:
    """A kernel that runs here: ``NAME``, ``WEIGHT_FORMS``, ``BLOCKS``,
    and every function of FAMILIES as an attribute."""

    def __init__(self, package):
        self.NAME = package.NAME
        self.WEIGHT_FORMS = package.WEIGHT_FORMS
        self.BLOCKS = package.BLOCKS
        self._packages = [package]
        while package.FALLBACK:
            package = _load(package.FALLBACK)
            self._packages.append(package)

    def expect(self, size):
        """Let ops take what they share before a model takes so many bytes of heap."""
        if self.BLOCKS == "kept":  # machine code
            _load("native", "scratch").expect(size)

    def __getattr__(self, name):
        family = FAMILIES.get(name)
        for package in self._packages if family else ():
            if family in package.FAMILIES:
                function = getattr(_load(package.NAME, family), name, None)
                if function:
                    return function
        raise AttributeError(name)


def choose(name=None, form=None):
    """Return the kernel called ``name``, or the fastest that this interpreter can run on weights of ``form``.

    Raises ValueError for an unknown name, for a kernel that cannot
    run here, and for one that does not take the form.
    """
    if name is not None and name not in KERNELS:
        raise ValueError("kernel %r is unknown, choose one of: %s" % (name, ", ".join(KERNELS)))
    for candidate in (name,) if name else KERNELS:
        try:
            kernel = Kernel(_load(candidate))
        except (ImportError, SyntaxError):  # no ulab; no native code, or that of others
            continue
        if form is None or form in kernel.WEIGHT_FORMS:
            return kernel
        if name:
            raise ValueError(
                "kernel %r does not take weight form %d: compile the model for it" % (name, form)
            )
    raise ValueError("kernel %r cannot run on this interpreter" % name)


def use_both_cores():
    """Let ops be bound for both cores of a board from now on, where a kernel that runs here can do that.

    Return how many cores they use.
    """
    for name in KERNELS:
        try:
            return _load(name, "cores").use()
        except ImportError:
            continue
    return 1


def _load(*levels):
    return __import__("mote.kernels." + ".".join(levels), None, None, ("NAME",))
