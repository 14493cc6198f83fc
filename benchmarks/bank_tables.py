"""The public tables as settings of devices: what the bank is learned from and judged on.

Data below EDGEPROF_DATA (default ../shared/data), see its README, and
``data/ncnn_layers.csv`` here.
Left out by rule: GPUs, tables without graphs (yolobench), rows whose network is not in any list,
and settings with fewer than ten networks.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from networks import phone_layer, read_csv, read_nano

from edgeprof.networks.suites import mobile
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.recipe import Recipe
from edgeprof.networks.work import Kind, NetworkLayer
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.learning import Setting
from edgeprof.predictors.bank.terms import Terms

FEWEST = 10
TABLES = {
    "phones_tflite.csv.gz": ("qed-usc/mobile-ml-benchmark", "MIT"),
    "phones_layers.csv.gz": ("qed-usc/mobile-ml-benchmark", "MIT"),
    "mlperf_arm.csv.gz": ("mlcommons/inference_results_v0.5 to v3.0", "Apache-2.0"),
    "ncnn_boards.csv.gz": ("Tencent/ncnn", "BSD-3-Clause"),
    "nano_timm.csv.gz": ("Deeplite/deeplite-torch-zoo", "Apache-2.0"),
    "timm_graphs.tar.xz": ("timm", "Apache-2.0"),
}
"""File -> source and licence."""

NCNN_LAYERS = Path(__file__).parent / "data" / "ncnn_layers.csv"

Cores = tuple[tuple[str, float, int], ...]
PHONE_CORES: dict[str, dict[str, tuple[str, float]]] = {
    "pixel4": {"large": ("cortex-a76", 2.84), "med": ("cortex-a76", 2.42),
               "small": ("cortex-a55", 1.78)},
    "s10": {"large": ("exynos-m4", 2.73), "med": ("cortex-a75", 2.31),
            "small": ("cortex-a55", 1.95)},
    "mi8se": {"large": ("cortex-a75", 2.2), "small": ("cortex-a55", 1.7)},
    "iphone7": {"large": ("apple-a10", 2.34)},
    "iphonexs": {"large": ("apple-a12", 2.49), "small": ("apple-a12-small", 1.59)},
}  # fmt: skip
PHONE_FAMILY = {"pixel4": "sd855", "s10": "s10", "mi8se": "sd710", "iphone7": "a10",
                "iphonexs": "a12"}  # fmt: skip

# MLPerf: family, cores (fastest first). Threads stand in the source of the program that was used:
# it asks TFLite for as many as there are processors. It does not ask ArmNN, whose library takes as
# many as there are cores of the type that is rarest.
RK3399: Cores = (("cortex-a72", 1.8, 2), ("cortex-a53", 1.4, 4))
RK3588: Cores = (("cortex-a76", 2.4, 4), ("cortex-a55", 1.8, 4))
MLPERF: dict[str, tuple[str, Cores]] = {
    "firefly": ("rk3399", RK3399),
    "hikey960": ("kirin", (("cortex-a73", 2.36, 4), ("cortex-a53", 1.84, 4))),
    "mate10pro": ("kirin", (("cortex-a73", 2.36, 4), ("cortex-a53", 1.84, 4))),
    "odroid": ("amlogic-a73", (("cortex-a73", 2.208, 4), ("cortex-a53", 1.908, 2))),
    "vim4": ("amlogic-a73", (("cortex-a73", 2.208, 4), ("cortex-a53", 2.016, 4))),
    "xavier": ("xavier", (("carmel", 2.26, 8),)),
    "orin": ("orin", (("cortex-a78ae", 2.2, 12),)),
    "nvidia_orin": ("orin", (("cortex-a78ae", 2.2, 12),)),
    "rpi3": ("bcm2837", (("cortex-a53", 1.2, 4),)),
    "rpi4": ("bcm2711", (("cortex-a72", 1.5, 4),)),
    "rpi4coral": ("bcm2711", (("cortex-a72", 1.5, 4),)),
    "aws_a1.2xlarge": ("graviton1", (("cortex-a72", 2.3, 8),)),
    "aws_graviton_m7g.2xlarge": ("graviton3", (("neoverse-v1", 2.6, 8),)),
    "aws-c6gd.xlarge-arm64": ("graviton2", (("neoverse-n1", 2.5, 4),)),
    "aws_c5.4xlarge": ("x86-c5", (("x86-avx512", 3.4, 8),)),
    "aws_t2.medium": ("x86-t2", (("x86-avx2", 2.3, 2),)),
    "amd_zen4_workstation": ("x86-zen4", (("x86-avx2", 4.7, 16),)),
}
ONE_THREAD = "one thread"
"""Of floats under XNNPACK: the program asks for threads after XNNPACK was given the network."""

FIREFLY_RK3588 = ("v2.1", "v2.2", "v3")
"""Rounds in which "firefly" is the Firefly-RK3588S, by their descriptions of the systems; before,
it is the Firefly-RK3399."""

# ncnn: beginning of the board's name -> family, clusters (fastest first)
NCNN: dict[str, tuple[str, Cores]] = {
    "AWS c5.4xlarge": ("x86-c5", (("x86-avx512", 3.4, 8),)),
    "AXERA AX620A": ("ax620a", (("cortex-a7", 1.0, 4),)),
    "Amlogic S805": ("s805", (("cortex-a5", 1.536, 4),)),
    "Arduino UNO Q": ("qrb2210", (("cortex-a53", 2.0, 4),)),
    "EAIDK 310": ("rk3328", (("cortex-a53", 1.3, 4),)),
    "HUAWEI KunPeng 920": ("kunpeng", (("kunpeng", 2.6, 64),)),
    "HiSilicon Hi3519V101": ("hi3519", (("cortex-a17", 1.2, 1),)),
    "Ingenic T40XP": ("ingenic", (("mips", 1.4, 2),)),
    "Khadas VIM3": ("amlogic-a73", (("cortex-a73", 2.2, 4), ("cortex-a53", 1.8, 2))),
    "Kirin 970": ("kirin", (("cortex-a73", 2.4, 4), ("cortex-a53", 1.8, 4))),
    "MYIR RemiPi": ("rzg2l", (("cortex-a55", 1.5, 2),)),
    "MacBook Air": ("m3", (("apple-m", 4.05, 4), ("apple-a12-small", 2.75, 4))),
    "MediaTek Dimensity 9300": (
        "d9300", (("cortex-x4", 3.25, 1), ("cortex-x4", 2.85, 3), ("cortex-a720", 2.0, 4))),
    "Microsoft Azure Standard D64as v7": ("x86-zen5", (("x86-avx512", 4.0, 64),)),
    "Microsoft Azure Standard D64s v6": ("x86-emr", (("x86-avx512", 3.0, 64),)),
    "Microsoft Azure Standard D64ps v6": ("cobalt", (("neoverse-n2", 3.4, 64),)),
    "NVIDIA Jetson AGX Orin": ("orin", (("cortex-a78ae", 2.2, 12),)),
    "NVIDIA Jetson AGX Xavier": ("xavier", (("carmel", 2.2, 8),)),
    "NVIDIA Jetson TX2": ("tegra-a57", (("denver2", 2.0, 2), ("cortex-a57", 2.0, 4))),
    "NanoPi R2S": ("rk3328", (("cortex-a53", 1.3, 4),)),
    "OrangePi Zero 2": ("h616", (("cortex-a53", 1.5, 4),)),
    "OrangePi4 LTS": ("rk3399", (("cortex-a72", 1.8, 2), ("cortex-a53", 1.5, 4))),
    "OrangePi5": ("rk3588", (("cortex-a76", 2.4, 4), ("cortex-a55", 1.8, 4))),
    "OrangePicm4": ("rk356x", (("cortex-a55", 1.8, 4),)),
    "Phytium FT-2000+": ("phytium", (("ftc66", 2.4, 8),)),
    "Phytium FT-2000/4": ("phytium", (("ftc66", 2.2, 4),)),
    "PhytiumPi": ("phytium", (("ftc66", 1.8, 2), ("ftc310", 1.5, 2))),
    "Qualcomm MSM6150": ("sd675", (("cortex-a76", 2.0, 2), ("cortex-a55", 1.7, 6))),
    "Qualcomm MSM8916": ("sd410", (("cortex-a53", 1.2, 4),)),
    "Qualcomm MSM8994": ("sd810", (("cortex-a57", 2.0, 4), ("cortex-a53", 1.55, 4))),
    "Qualcomm MSM8998": ("sd835", (("cortex-a73", 2.45, 4), ("cortex-a53", 1.9, 4))),
    "Qualcomm SDM660": ("sd660", (("cortex-a73", 2.2, 4), ("cortex-a53", 1.84, 4))),
    "Qualcomm SDM765G": ("sd765", (("cortex-a76", 2.2, 2), ("cortex-a55", 1.8, 6))),
    "Qualcomm SM8150": (
        "sd855", (("cortex-a76", 2.96, 1), ("cortex-a76", 2.42, 3), ("cortex-a55", 1.8, 4))),
    "Qualcomm Snapdragon 888": (
        "sd888", (("cortex-x1", 2.84, 1), ("cortex-a78", 2.4, 3), ("cortex-a55", 1.8, 4))),
    "Qualcomm Snapdragon X": ("oryon", (("oryon", 3.4, 12),)),
    "RDK X3": ("rdkx3", (("cortex-a53", 1.5, 4),)),
    "Radxa Zero 3W": ("rk356x", (("cortex-a55", 1.416, 4),)),
    "Raspberry Pi 3": ("bcm2837", (("cortex-a53", 1.4, 4),)),
    "Raspberry Pi 4": ("bcm2711", (("cortex-a72", 1.8, 4),)),
    "Raspberry Pi 5 Broadcom BCM2712 Overclock": ("bcm2712", (("cortex-a76", 2.9, 4),)),
    "Raspberry Pi 5": ("bcm2712", (("cortex-a76", 2.4, 4),)),
    "Raspberry Pi Zero 2": ("bcm2837", (("cortex-a53", 1.0, 4),)),
    "Rock3A": ("rk356x", (("cortex-a55", 2.0, 4),)),
    "Rockchip RK3288": ("rk3288", (("cortex-a17", 1.8, 4),)),
    "Rockchip RK3399": ("rk3399", (("cortex-a72", 1.8, 2), ("cortex-a53", 1.5, 4))),
    "Rockchip RK3588": ("rk3588", (("cortex-a76", 2.4, 4), ("cortex-a55", 1.8, 4))),
    "Station-M2": ("rk356x", (("cortex-a55", 1.8, 4),)),
    "Station-M3": ("rk3588", (("cortex-a76", 2.4, 4), ("cortex-a55", 1.8, 4))),
    "Sunway SW421": ("sunway", (("sunway", 1.7, 4),)),
    "Sunway SW831": ("sunway", (("sunway", 2.5, 8),)),
    "T-Head TH1520": ("th1520", (("c910", 1.848, 4),)),
    "VisionFive2": ("jh7110", (("u74", 1.5, 4),)),
    "Z7-Lite": ("zynq", (("cortex-a9", 0.766, 2),)),
    "iPhone 5S": ("a7", (("apple-a7", 1.3, 2),)),
}  # fmt: skip
NCNN_NAMES = {"mobilenet-ssd": "mobilenet_ssd", "mobilenet-yolo": "mobilenet_yolo",
              "squeezenet-int8": "squeezenet_int8", "squeezenet-ssd": "squeezenet_ssd",
              "mobilenet_yolov3": "mobilenetv2_yolov3"}  # fmt: skip
# EfficientNet-Lite 0 to 4: width, depth, resolution.
LITE = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300))
INT8 = ":int8"
"""Ends the names of quantised networks, whose layers are those of the float ones."""


@dataclass(frozen=True)
class Tables:
    """Everything that was measured.

    Attributes:
        names: of the networks, with their source before a slash.
        terms: of the networks.
        settings: of the devices; ``settings[i].facts.source`` says the table.
    """

    names: tuple[str, ...]
    terms: Terms
    settings: tuple[Setting, ...]


Row = tuple[tuple[str, ...], str, float, float]
"""Key of the setting, network, latency in ms, relative standard error."""
SPREAD_WEIGHT = 0.3
"""Of the spread of a run's samples, as a standard error: what a run that was disturbed is worth."""


def _collect(rows: Iterator[Row]) -> dict[tuple[str, ...], dict[str, tuple[float, float]]]:
    """Return rows by setting; of a network measured twice the geometric mean."""
    found: dict[tuple[str, ...], dict[str, list[tuple[float, float]]]] = {}
    for key, network, latency_ms, error in rows:
        found.setdefault(key, {}).setdefault(network, []).append((np.log(latency_ms), error))
    return {
        key: {network: _mean(measured) for network, measured in networks.items()}
        for key, networks in found.items()
        if len(networks) >= FEWEST
    }


def _mean(measured: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the geometric mean of latencies, from their logarithms, and the mean error."""
    logs, errors = zip(*measured, strict=True)
    return float(np.exp(np.mean(logs))), float(np.mean(errors))


def mlperf_name(row: dict[str, str]) -> str:
    """Return the name of the architecture that a row of MLPerf names in one of its ways."""
    name = row["model"].replace("non-quantized-", "").replace("quantized-", "")
    name = name.replace("-non-quantized", "").replace("-quantized", "")
    if name == "mobilenet":
        return "mobilenet-v1-1.0-224"
    name = re.sub(r"-(fp32|int8)-lite", "-lite", name)
    name = re.sub(r"-precision_(float|uint8)", "", name)
    if found := re.fullmatch(r"mobilenet-v3-(.*)_(\d+)_([\d.]+)_(float|uint8)", name):
        return f"mobilenet-v3-{found[1]}-{found[3]}-{found[2]}"
    if found := re.fullmatch(r"mobilenet-v3-((?:large|small)(?:-minimalistic)?)-(\d+)", name):
        return f"mobilenet-v3-{found[1]}-1.0-{found[2]}"
    return name


def mlperf_recipe(name: str) -> Recipe:
    """Build the network of a name as ``mlperf_name`` returns it."""
    _, version, *parts = name.split("-")
    if version.startswith("lite"):
        return mobile.efficientnet_lite(*LITE[int(version[4:])])
    *form, width, size = parts
    if version == "v3":
        return mobile.mobilenet_v3(form[0], float(width), int(size), minimalistic=len(form) > 1)
    build = {"v1": mobile.mobilenet_v1, "v2": mobile.mobilenet_v2}[version]
    return build(float(width), int(size))


def mlperf_network(name: str) -> Sequence[NetworkLayer]:
    network = network_of(mlperf_recipe(name))
    if network is None:
        raise ValueError(f"{name}: is no chain of layers")
    return network.work


def mlperf_rows() -> Iterator[Row]:
    for row in read_csv("mlperf_arm.csv.gz"):
        if row["board"] not in MLPERF:
            continue
        is_int8 = row["precision"] == "uint8"
        threads = () if is_int8 or not _is_xnnpack(row["runtime"]) else (ONE_THREAD,)
        key = (row["board"], row["runtime"], row["round"], *threads)
        median, least = float(row["p50_ns"]), float(row["min_ns"])
        error = SPREAD_WEIGHT * np.log(median / least)
        yield key, mlperf_name(row) + INT8 * is_int8, median / 1e6, error


def mlperf_facts(key: tuple[str, ...]) -> tuple[str, Facts]:
    board, runtime, submitted, *rest = key
    family, cores = MLPERF[board]
    if board == "firefly" and submitted.startswith(FIREFLY_RK3588):
        family, cores = "rk3588", RK3588
    name, each = runtime.split()[0], [number for _, _, number in cores]
    threads = 1 if ONE_THREAD in rest else min(each) if name == "armnn" else sum(each)
    backend = "xnnpack" if ONE_THREAD in rest else ""
    return family, Facts(cores, threads, name, backend, "mlperf")


def _is_xnnpack(runtime: str) -> bool:
    """Return whether a build of TFLite leaves floats to XNNPACK: those that do not say "ruy"."""
    return runtime.startswith("tflite vmaster")


def phone_rows() -> Iterator[Row]:
    for row in read_csv("phones_tflite.csv.gz"):
        suffix = INT8 if row["precision"] == "quant" else ""
        mean, deviation = float(row["mean_us"]), float(row["std_us"])
        error = SPREAD_WEIGHT * deviation / mean
        yield (row["phone"], row["cores"]), row["model"] + suffix, mean / 1e3, error


def phone_facts(key: tuple[str, ...]) -> tuple[str, Facts]:
    phone, used = key
    cores = tuple(
        (*PHONE_CORES[phone][size], int(number))
        for number, size in re.findall(r"(\d)(large|med|small)", used)
    )
    threads = sum(number for _, _, number in cores)
    return PHONE_FAMILY[phone], Facts(cores, threads, "tflite", source="phones")


def ncnn_rows() -> Iterator[Row]:
    for row in read_csv("ncnn_boards.csv.gz"):
        network = NCNN_NAMES.get(row["model"], row["model"])
        if row["gpu"] in ("-1", "") and float(row["min_ms"]) > 0:
            network = re.sub("_int8$", INT8, network)
            key = (row["board"], row["threads"], row["powersave"])
            yield key, network, float(row["min_ms"]), 0.0


def ncnn_facts(key: tuple[str, ...]) -> tuple[str, Facts]:
    board, threads, powersave = key
    start = max((name for name in NCNN if board.startswith(name)), key=len)
    family, cores = NCNN[start]
    small = ("cortex-a53", "cortex-a55", "ftc310", "cortex-a720")
    if powersave == "1" and len(cores) > 1:
        cores = tuple(core for core in cores if core[0] in small)
    elif powersave == "2" and len(cores) > 1:
        cores = tuple(core for core in cores if core[0] not in small)
    return family, Facts(cores, int(threads), "ncnn", source="ncnn")


def nano_rows(names: Sequence[str], latency_ms: Sequence[float]) -> Iterator[Row]:
    for name, latency in zip(names, latency_ms, strict=True):
        if np.isfinite(latency):
            yield ("nano", "ort"), name, latency, 0.0


def ncnn_networks() -> dict[str, list[NetworkLayer]]:
    networks: dict[str, list[NetworkLayer]] = {}
    with NCNN_LAYERS.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            layer = NetworkLayer(
                "", row["operator"], Kind(row["kind"]), macs=int(row["macs"]),
                operations=int(row["operations"]), elements_read=int(row["read"]),
                elements_written=int(row["written"]), parameters=int(row["weights"]),
                in_channels=int(row["in_channels"]), out_channels=int(row["out_channels"]),
                kernel=(int(row["kernel"]),) * 2, stride=(int(row["stride"]),) * 2,
                groups=int(row["groups"]),
            )  # fmt: skip
            networks.setdefault(row["network"], []).extend([layer] * int(row["uses"]))
    return networks


def phone_networks() -> dict[str, list[NetworkLayer]]:
    networks: dict[str, list[NetworkLayer]] = {}
    for row in read_csv("phones_layers.csv.gz"):
        networks.setdefault(row["model"], []).append(phone_layer(row))
    return networks


def read_tables(only: Sequence[str] = ("phones", "mlperf", "ncnn", "nano")) -> Tables:
    """Read all tables."""
    names: list[str] = []
    listed: list[Sequence[NetworkLayer]] = []
    settings: list[Setting] = []

    def add(
        source: str,
        rows: Iterator[Row],
        facts_of: Callable[[tuple[str, ...]], tuple[str, Facts]],
        networks: Callable[[str], Sequence[NetworkLayer]],
    ) -> None:
        number: dict[str, int] = {}
        for key, measured in _collect(rows).items():
            for name in measured:
                if name not in number:
                    number[name] = len(names)
                    names.append(f"{source}/{name}")
                    layers = networks(name.removesuffix(INT8))
                    if name.endswith(INT8):
                        layers = [replace(layer, element_type="int8") for layer in layers]
                    listed.append(layers)
            family, facts = facts_of(key)
            at = np.array([number[name] for name in measured])
            latency_ms, relative_se = np.array(list(measured.values())).T
            settings.append(Setting(" ".join(key), family, facts, at, latency_ms, relative_se))

    if "phones" in only:
        add("phones", phone_rows(), phone_facts, phone_networks().__getitem__)
    if "mlperf" in only:
        add("mlperf", mlperf_rows(), mlperf_facts, mlperf_network)
    if "ncnn" in only:
        add("ncnn", ncnn_rows(), ncnn_facts, ncnn_networks().__getitem__)
    if "nano" in only:
        zoo = read_nano()
        of_nano = [row["model"] for row in read_csv("nano_timm.csv.gz")]
        timm = dict(zip(of_nano, zoo.networks, strict=True))
        cores = (("cortex-a57", 1.43, 4),)
        nano = "tegra-a57", Facts(cores, 4, "ort", source="nano")
        add("nano", nano_rows(of_nano, zoo.latency_ms["cpu"].tolist()), lambda _: nano,
            timm.__getitem__)  # fmt: skip
    return Tables(tuple(names), Terms.of(listed), tuple(settings))
