#!/usr/bin/env python3
"""Writes reference.json: the same statistics by brute force, straight from their definitions.

Python's standard library only. Every distribution is counted by going through all orders or all
signs, every k-th value is taken from the sorted list of all pairs, with exact fractions for the
probabilities. Run it as: python3 reference.py > reference.json
"""
import itertools
import json
import math
import random
from fractions import Fraction


def binom_cdf(k, n, q):
    q = Fraction(str(q))
    return sum(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(0, k + 1))


def quantile(x, q, confidence):
    s, n = sorted(x), len(x)
    tail = (1 - Fraction(str(confidence))) / 2
    low = max((k for k in range(1, n + 1) if binom_cdf(k - 1, n, q) <= tail), default=None)
    high = min((k for k in range(1, n + 1) if 1 - binom_cdf(k - 1, n, q) <= tail), default=None)
    h = Fraction(str(q)) * n
    if h.denominator == 1:
        point = (s[max(int(h) - 1, 0)] + s[min(int(h), n - 1)]) / 2
    else:
        point = s[math.ceil(h) - 1]
    if low is None or high is None:
        need = n
        while max(Fraction(str(q)), 1 - Fraction(str(q))) ** need > tail:
            need += 1
        return {"need": need}
    reached = binom_cdf(high - 1, n, q) - binom_cdf(low - 1, n, q)
    return {"point": point, "low": s[low - 1], "high": s[high - 1], "confidence": float(reached)}


def u_counts(n, m):
    """How many of the orders of n old and m new values have each U."""
    counts = [0] * (n * m + 1)
    for new in itertools.combinations(range(n + m), m):
        counts[sum(place - i for i, place in enumerate(new))] += 1
    return counts


def median(s):
    s = sorted(s)
    n = len(s)
    return (s[(n - 1) // 2] + s[n // 2]) / 2


def shift(old, new, confidence):
    d = sorted(b - a for a in old for b in new)
    counts = u_counts(len(old), len(new))
    total, tail = sum(counts), (1 - Fraction(str(confidence))) / 2
    c = max((k for k in range(len(d)) if Fraction(sum(counts[: k + 1]), total) <= tail), default=None)
    if c is None:
        return {"few": True}
    reached = 1 - 2 * Fraction(sum(counts[: c + 1]), total)
    return {"point": median(d), "low": d[c], "high": d[len(d) - 1 - c], "confidence": float(reached)}


def u_value(old, new):
    return sum(Fraction(1) if b > a else Fraction(1, 2) if b == a else Fraction(0) for a in old for b in new)


def mann_whitney(old, new):
    """Two-sided p by all ways to choose which of the pooled values are new."""
    pool, m = old + new, len(new)
    u = u_value(old, new)
    small = min(u, len(old) * m - u)
    seen = extreme = 0
    for places in itertools.combinations(range(len(pool)), m):
        chosen = [pool[i] for i in places]
        rest = [pool[i] for i in range(len(pool)) if i not in places]
        seen += 1
        extreme += u_value(rest, chosen) <= small
    return {"u": float(u), "p": float(min(Fraction(1), 2 * Fraction(extreme, seen)))}


def walsh(x, confidence):
    n = len(x)
    w = sorted((x[i] + x[j]) / 2 for i in range(n) for j in range(i, n))
    counts = [0] * (n * (n + 1) // 2 + 1)
    for signs in itertools.product((0, 1), repeat=n):
        counts[sum(i + 1 for i, s in enumerate(signs) if s)] += 1
    tail = (1 - Fraction(str(confidence))) / 2
    c = max((k for k in range(len(w)) if Fraction(sum(counts[: k + 1]), 2**n) <= tail), default=None)
    if c is None:
        return {"few": True}
    reached = 1 - 2 * Fraction(sum(counts[: c + 1]), 2**n)
    return {"point": median(w), "low": w[c], "high": w[len(w) - 1 - c], "confidence": float(reached)}


def signed_rank(x):
    """Two-sided p by all signs, of the statistic: pairs i <= j with a positive sum, less negative ones."""
    def statistic(y):
        return sum((y[i] + y[j] > 0) - (y[i] + y[j] < 0) for i in range(len(y)) for j in range(i, len(y)))

    seen, extreme, here = 0, 0, abs(statistic(x))
    for signs in itertools.product((-1, 1), repeat=len(x)):
        seen += 1
        extreme += abs(statistic([s * v for s, v in zip(signs, x)])) >= here
    return float(Fraction(extreme, seen))


def bh(p, q):
    """Adjusted by its definition: the smallest over the ranks at and above, of p*m/rank."""
    m, s = len(p), sorted(p)
    adjusted = [min([1.0] + [s[k] * m / (k + 1) for k in range(m) if s[k] >= v]) for v in p]
    # Rejected by the step-up rule, not through adjusted.
    k = max((i + 1 for i in range(m) if s[i] <= (i + 1) / m * q), default=0)
    return {"rejected": [k > 0 and v <= s[k - 1] for v in p], "adjusted": adjusted}


def main():
    r = random.Random(1)
    draw = lambda n, grid=None: [
        round(r.lognormvariate(0, 1) * grid) / grid if grid else round(r.lognormvariate(0, 1), 6) for _ in range(n)
    ]
    out = {"quantile": [], "shift": [], "mann_whitney": [], "walsh": [], "signed_rank": [], "bh": []}
    for n, q, c in [(5, 0.5, 0.95), (6, 0.5, 0.95), (7, 0.5, 0.95), (8, 0.5, 0.99), (15, 0.5, 0.95), (20, 0.5, 0.95),
                    (10, 0.5, 0.9), (100, 0.99, 0.95), (367, 0.99, 0.95), (368, 0.99, 0.95), (500, 0.99, 0.95),
                    (50, 0.9, 0.95), (30, 0.1, 0.9), (31, 0.25, 0.8), (100, 0.25, 0.99)]:
        x = draw(n)
        out["quantile"].append({"x": x, "q": q, "confidence": c, "want": quantile(x, q, c)})
    for n, m, c, grid in [(3, 3, 0.95, None), (4, 4, 0.95, None), (5, 5, 0.95, None), (6, 4, 0.9, None), (7, 7, 0.99, None),
                          (2, 9, 0.95, None), (8, 8, 0.95, None), (5, 6, 0.95, 4), (8, 7, 0.8, 2)]:
        old, new = draw(n, grid), draw(m, grid)
        out["shift"].append({"old": old, "new": new, "confidence": c, "want": shift(old, new, c)})
        out["mann_whitney"].append({"old": old, "new": new, "want": mann_whitney(old, new)})
    for n, c in [(5, 0.95), (6, 0.95), (7, 0.95), (9, 0.99), (12, 0.95), (13, 0.9)]:
        x = [r.gauss(0.3, 1) for _ in range(n)]
        out["walsh"].append({"x": x, "confidence": c, "want": walsh(x, c)})
        out["signed_rank"].append({"x": x, "want": signed_rank(x)})
    for x in [[0, 0, 0], [0, 1, -1, 2], [1, 1, 1, -1, 2, 2], [0, 0, 1, 2, 3, 4, 5, 6], [3, -3, 3, 3, -1, 1, 1, 0, 5], [1, 2, 3, 4, 5, 6]]:
        out["signed_rank"].append({"x": x, "want": signed_rank(x)})
    for n, q in [(1, 0.05), (5, 0.1), (20, 0.2), (10, 0.5)]:
        p = [round(r.random() ** 3, 3) for _ in range(n)]
        out["bh"].append({"p": p, "q": q, "want": bh(p, q)})
    parts = ['"%s": [\n  %s\n]' % (k, ",\n  ".join(json.dumps(case) for case in v)) for k, v in out.items()]
    print("{" + ",\n".join(parts) + "}")


main()
