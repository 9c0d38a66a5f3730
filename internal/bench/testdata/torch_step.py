"""Training steps of the preset 0.6b in PyTorch, to hold `parallax bench step` against.

The same decoder (Qwen3 0.6B with Parallax attention, tied embeddings, qk_norm), bf16
autocast over float32 parameters, torch.compile around everything but attention, which
is flash-linear-attention's Triton kernel parallel_parallax.

    python3 torch_step.py --micro-batch 4 --slots 4 --optimizer muon
"""
import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from fla.ops.parallax import parallel_parallax

LAYERS, WIDTH, HEADS, KV_HEADS, DIM, FFN, VOCABULARY, T, EPS = 28, 1024, 16, 8, 128, 3072, 151936, 4096, 1e-6


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def head_norm(x, gain, cos, sin):
    return rotate(F.rms_norm(x.float(), (DIM,), gain, EPS), cos, sin).to(torch.bfloat16)


@torch.compile(dynamic=False)
def before(x, norm, qrkv, qn, rn, kn, cos, sin):
    y = F.linear(F.rms_norm(x, (WIDTH,), norm, EPS).to(torch.bfloat16), qrkv.to(torch.bfloat16))
    q, r, k, v = y.split((HEADS * DIM, HEADS * DIM, KV_HEADS * DIM, KV_HEADS * DIM), dim=-1)
    heads = lambda z, n: z.reshape(*z.shape[:2], n, DIM)
    return (head_norm(heads(q, HEADS), qn, cos, sin), head_norm(heads(r, HEADS), rn, cos, sin),
            head_norm(heads(k, KV_HEADS), kn, cos, sin), heads(v, KV_HEADS).contiguous())


@torch.compile(dynamic=False)
def after(x, o, wo, norm, gate_up, down):
    bf = torch.bfloat16
    x = x + F.linear(o.flatten(2), wo.to(bf))
    gate, up = F.linear(F.rms_norm(x, (WIDTH,), norm, EPS).to(bf), gate_up.to(bf)).chunk(2, dim=-1)
    return x + F.linear(F.silu(gate) * up, down.to(bf))


@torch.compile(dynamic=False)
def head(x, norm, embedding, targets):
    y = F.rms_norm(x, (WIDTH,), norm, EPS).to(torch.bfloat16)
    return F.cross_entropy(F.linear(y, embedding.to(torch.bfloat16)).flatten(0, 1).float(), targets.flatten(), reduction="sum")


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        def matrix(rows, cols):
            return torch.nn.Parameter(torch.randn(rows, cols, device="cuda") * 0.02)
        def gain(n):
            return torch.nn.Parameter(torch.ones(n, device="cuda"))
        self.qrkv, self.o = matrix((2 * HEADS + 2 * KV_HEADS) * DIM, WIDTH), matrix(WIDTH, HEADS * DIM)
        self.gate_up, self.down = matrix(2 * FFN, WIDTH), matrix(WIDTH, FFN)
        self.n1, self.n2, self.qn, self.rn, self.kn = gain(WIDTH), gain(WIDTH), gain(DIM), gain(DIM), gain(DIM)

    def forward(self, x, cos, sin):
        q, r, k, v = before(x, self.n1, self.qrkv, self.qn, self.rn, self.kn, cos, sin)
        return after(x, parallel_parallax(q, r, k, v), self.o, self.n2, self.gate_up, self.down)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Parameter(torch.randn(VOCABULARY, WIDTH, device="cuda") * 0.02)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = torch.nn.Parameter(torch.ones(WIDTH, device="cuda"))
        angles = torch.arange(T, device="cuda")[:, None] * 1e6 ** (-torch.arange(0, DIM, 2, device="cuda") / DIM)
        self.cos, self.sin = angles.cos()[:, None], angles.sin()[:, None]

    def forward(self, tokens, targets):
        x = F.embedding(tokens, self.embedding).to(torch.bfloat16)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return head(x, self.norm, self.embedding, targets)


def optimizers(model, name):
    hidden = [p for l in model.layers for p in (l.qrkv, l.o, l.gate_up, l.down)]
    rest = [p for p in model.parameters() if not any(p is h for h in hidden)]
    if name == "adamw":
        return [torch.optim.AdamW(hidden + rest, lr=1e-4, fused=True)]
    return [torch.optim.Muon(hidden, lr=1e-3, adjust_lr_fn="match_rms_adamw"), torch.optim.AdamW(rest, lr=1e-4, fused=True)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--micro-batch", type=int, default=4)
    p.add_argument("--slots", type=int, default=4)
    p.add_argument("--optimizer", default="muon")
    p.add_argument("--steps", type=int, default=4)
    a = p.parse_args()
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    model = Model()
    opts = optimizers(model, a.optimizer)
    scale = 1 / (a.slots * a.micro_batch * T)
    tokens = torch.randint(VOCABULARY, (a.slots, a.micro_batch, T), device="cuda")
    seconds, updates = [], []
    for step in range(3 + a.steps):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for slot in tokens:
            (model(slot, slot) * scale).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        torch.cuda.synchronize()
        computed = time.perf_counter()
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=False)
        torch.cuda.synchronize()
        if step >= 3:
            seconds.append(time.perf_counter() - began)
            updates.append(time.perf_counter() - computed)
    s = statistics.median(seconds)
    print(f"torch {torch.__version__}: {a.micro_batch} x {a.slots}, {a.optimizer}: {a.micro_batch * a.slots * T / s:.0f} tokens/s, "
          f"step {s * 1e3:.1f} ms ({min(seconds) * 1e3:.1f} to {max(seconds) * 1e3:.1f}), update {statistics.median(updates) * 1e3:.1f} ms, "
          f"peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)


main()
