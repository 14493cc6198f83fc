"""Boards made up from one law: latencies of networks by terms of the bank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from stored_records import make_record
from tree import ROOT

from edgeprof.measuring.machine import machine_state
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.mobile import (
    efficientnet_lite,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
)
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.file import shipped_bank
from edgeprof.predictors.bank.learning import Setting
from edgeprof.predictors.bank.model import DeviceCosts
from edgeprof.predictors.bank.terms import TERMS, Terms

RECIPES = [
    *(mobilenet_v1(w, r) for w in (0.25, 0.5, 0.75, 1.0) for r in (128, 160, 192, 224)),
    *(mobilenet_v2(w, r) for w in (0.35, 0.5, 0.75, 1.0) for r in (96, 128, 160, 224)),
    *(mobilenet_v3("small", minimalistic=minimalistic) for minimalistic in (False, True)),
    *(efficientnet_lite(*scale) for scale in ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260))),
]
A72 = Facts((("cortex-a72", 1.8, 4),), 4)
STATE = machine_state(ROOT / "tests" / "data" / "boards" / "rpi4b")
OF_STATE = Facts((("cortex-a72", 1.8, 4),), 4, "ort")
"""What ``STATE`` says, with ONNX Runtime and four threads."""


def terms_of(recipes):
    return Terms.of([network_of(recipe).work for recipe in recipes])


def latencies(terms, facts, rng, shared=0.0, *, deviation=0.4):
    """Return the latencies of a device that differs from others by a deviation in each log cost."""
    costs = rng.normal(0.0, deviation, len(TERMS)) + shared
    costs[TERMS.index("depthwise_macs")] += 1.0  # what all devices share
    core, ghz = facts.busy[0]
    speed = ghz * core.macs * 4 * 0.3e6
    noise = np.exp(rng.normal(0.0, 0.02, len(terms)))
    return (terms.amounts * np.exp(costs)).sum(axis=1) / speed * noise


def settings_of(terms, n, seed, **changes):
    """Return so many boards, each with all networks."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        facts = replace(A72, cores=(("cortex-a72", rng.uniform(1.0, 2.5), 4),), **changes)
        measured = latencies(terms, facts, rng)
        name = f"board{number}"
        made.append(Setting(name, name, facts, np.arange(len(terms)), measured))
    return made


def true_ms(networks, slower=1.6):
    """Return latencies on a board that is so many times as slow as its facts say."""
    guess = DeviceCosts(shipped_bank(), OF_STATE).predict(Terms.of([n.work for n in networks]))
    return slower * guess.mean_ms


def record_of(latency_ms, *, sha256="0" * 64, threads=4, runtime="onnxruntime", seed=0):
    """Return a record of a measurement on that board."""
    record = make_record(latency_ms, np.random.default_rng(seed))
    record["model"]["sha256"] = sha256
    record["machine"] = STATE
    record["settings"]["threads"] = threads
    record["runtime"]["name"] = runtime
    return record


def add_networks(store, networks, device="pi", *, slower=1.6, **how):
    """Append measurements of networks on that board."""
    latency_ms = true_ms(networks, slower)
    for number, (network, one_ms) in enumerate(zip(networks, latency_ms, strict=True)):
        sha256 = f"{number:064x}"
        store.append_network(sha256, network)
        record = record_of(one_ms, sha256=sha256, **how)
        key = f"{device}-{sha256}-{sorted(how.items())}"
        store.append(record, job_key=key, device=device, model_kind="onnx")
