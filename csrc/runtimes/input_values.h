// The values that models are timed on: seeded, the same on every machine and runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace edgeprof {

// Bytes per element of a type by numpy's name; 0 for types without a fixed size (strings).
std::size_t bytes_per_element(const std::string& type);

// Fills `n` elements. Floating-point values lie evenly in [-1, 1): no denormals, no zeros in bulk.
// Integers are 0 or 1, so that they stay valid as indices; 8-bit ones use their whole range, being
// quantised activations. `stream` tells the inputs of one model apart.
void fill_input(void* data, std::size_t n, const std::string& type, std::uint64_t seed,
                std::uint64_t stream);

}  // namespace edgeprof
