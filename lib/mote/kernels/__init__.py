"""The kernels and how one is chosen. Each is a module of op functions under one contract; same bits from all.

An op function gets its buffers and constants once and returns ``run``, a function without arguments that
computes the output from the input, as often as it is called. In ``dense`` the views of ``x`` and ``y`` hold
signed int8, those of the file (weights, int32 constants) plain bytes. A kernel tells in WEIGHT_FORMS which
weight forms of docs/mote-format.md it takes. The float functions are the steps of training: ``affine``,
``affine_backward`` and ``descend``.
"""

#: every kernel, the fastest first, as modules of this package
KERNELS = ("viper", "ulab", "plain")


def choose(name=None, form=None):
    """Return the kernel module called ``name``, or the fastest that this interpreter can run on weights of
    ``form``.

    Raises ValueError for an unknown name, for a kernel that cannot run here, and for one that does not take
    the form.
    """
    if name is not None and name not in KERNELS:
        raise ValueError("kernel %r is unknown, choose one of: %s" % (name, ", ".join(KERNELS)))
    for candidate in (name,) if name else KERNELS:
        try:
            kernel = getattr(__import__("mote.kernels." + candidate).kernels, candidate)
        except (ImportError, SyntaxError):  # no ulab; no native code for this interpreter
            continue
        if form is None or form in kernel.WEIGHT_FORMS:
            return kernel
        if name:
            raise ValueError(
                "kernel %r does not take weight form %d: compile the model for it" % (name, form)
            )
    raise ValueError("kernel %r cannot run on this interpreter" % name)
