"""Makes short_trace.npz: a short training run of a small network on real MNIST digits, in float64.

The truth that tests/mnist_trace.rs holds tensc to. Nothing here knows tensc: the forward pass, the
gradients (by hand) and the optimiser (RMSprop in Keras' form, the square root around v + eps) are
numpy in float64. Weights are drawn in float32, so that both sides start from the same numbers.

    python3 -m venv venv && venv/bin/pip install numpy==2.4.6
    venv/bin/python tests/mnist/make_short_trace.py examples/data/mnist tests/mnist/short_trace.npz

The images and labels are the first 256 of the MNIST training set by Y. LeCun, C. Cortes and
C. Burges, made from NIST Special Databases 3 and 1, commonly given as CC BY-SA 3.0.
"""

import gzip
import sys

import numpy as np

ROWS, HIDDEN, CLASSES = 256, 32, 10
EPOCHS, BATCH = 2, 24  # the last batch of an epoch has 16 rows
RATE, RHO, EPS = 1e-3, 0.9, 1e-7


def read_idx(path):
    with gzip.open(path) as file:
        data = file.read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def loss_and_gradients(params, x, y):
    """Mean cross-entropy of softmax(relu(x w1 + b1) w2 + b2), and its gradient by each parameter."""
    w1, b1, w2, b2 = params
    before = x @ w1 + b1
    hidden = np.maximum(before, 0)
    logits = hidden @ w2 + b2
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    loss = (log_total[:, 0] - shifted[rows, y]).mean()
    d_logits = np.exp(shifted - log_total)
    d_logits[rows, y] -= 1
    d_logits /= len(y)
    d_before = (d_logits @ w2.T) * (before > 0)
    return loss, [x.T @ d_before, d_before.sum(0), hidden.T @ d_logits, d_logits.sum(0)]


def main(mnist, out):
    images = read_idx(f"{mnist}/train-images.idx3-ubyte.gz")[:ROWS]
    labels = read_idx(f"{mnist}/train-labels.idx1-ubyte.gz")[:ROWS]
    rng = np.random.default_rng(20240607)

    def glorot(rows, columns):
        bound = np.sqrt(6 / (rows + columns))
        return rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)

    start = [glorot(784, HIDDEN), np.zeros(HIDDEN, np.float32)]
    start += [glorot(HIDDEN, CLASSES), np.zeros(CLASSES, np.float32)]
    order = np.stack([rng.permutation(ROWS) for _ in range(EPOCHS)]).astype(np.int64)

    params = [p.astype(np.float64) for p in start]
    squares = [np.zeros_like(p) for p in params]
    x = images.reshape(ROWS, 784).astype(np.float64) / 255
    losses = []
    for epoch in range(EPOCHS):
        for first in range(0, ROWS, BATCH):
            rows = order[epoch, first : first + BATCH]
            loss, gradients = loss_and_gradients(params, x[rows], labels[rows])
            losses.append(loss)
            for p, v, g in zip(params, squares, gradients):
                v *= RHO
                v += (1 - RHO) * g * g
                p -= RATE * g / np.sqrt(v + EPS)
    sums = np.array([np.abs(p).sum() for p in params])
    names = dict(zip(["w1", "b1", "w2", "b2"], start))
    np.savez_compressed(
        out, images=images, labels=labels, order=order, losses=np.array(losses), sums=sums, **names
    )
    print(f"{len(losses)} steps, loss {losses[0]:.6f} to {losses[-1]:.6f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
