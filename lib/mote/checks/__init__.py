"""Whether ops stay within their tensors, and what kernels get beside their parameters.

Kernels trust what they are given, native ones to the last pointer; so everything is checked here, once. A
module has the ops of a family, so that a board loads only what its network needs. For each op it has two
functions: ``check_`` and its name, f(tensors, parameters) = whether it is sound, and ``rest_`` and its name,
f(tensors, form, origin) = further arguments.
"""
