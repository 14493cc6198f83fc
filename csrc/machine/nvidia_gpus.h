// NVIDIA's GPUs, as the driver's own library (NVML) tells of them.
#pragma once

#include <vector>

#include "machine/facts.h"

namespace edgeprof {

// One object per GPU: name, driver, clocks now and at most, performance state (0 is the fastest),
// power limit, memory, temperature. Empty where there is no such library, or it does not answer.
std::vector<Facts> read_nvidia_gpus(const char* library = "libnvidia-ml.so.1");

}  // namespace edgeprof
