"""The steps of SGD in plain Python, on float32 arrays."""


def affine(weights, bias, x, y):
    """y = weights x + bias, all float32. x: [K]. weights: [N * K]. y: [N]."""
    position = 0
    for row in range(len(y)):
        total = bias[row]
        for value in x:
            total += weights[position] * value
            position += 1
        y[row] = total


def affine_backward(weights, x, slope, weights_slope, bias_slope, x_slope):
    """Add the slopes of one sample. slope: [N], of the loss by y. x_slope: [K], overwritten, or None where
    not needed."""
    count = len(x)
    if x_slope is not None:
        for k in range(count):
            x_slope[k] = 0.0
    position = 0
    for row in range(len(slope)):
        factor = slope[row]
        bias_slope[row] += factor
        for k in range(count):
            weights_slope[position] += factor * x[k]
            if x_slope is not None:
                x_slope[k] += factor * weights[position]
            position += 1


def descend(values, slopes, rate, decay):
    """values -= rate * (slopes + decay * values); slopes = 0."""
    for i in range(len(values)):
        values[i] -= rate * (slopes[i] + decay * values[i])
        slopes[i] = 0.0
