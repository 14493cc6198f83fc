// The values that models are timed on: seeded, the same on every machine and runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtimes/backend.h"

namespace edgeprof {

// Bytes per element of a type by numpy's name; 0 for types without a fixed size (strings).
std::size_t bytes_per_element(const std::string& type);

// The values that the job gives to an input, by its name or its type; nullptr: none.
const GivenValues* given_values(const TensorFacts& facts, const LoadSettings& settings);

// Fills an input whose shape is that of `facts`; n_bytes may be more than it takes. Without given
// values, floating-point ones lie evenly in [-1, 1): no denormals, no zeros in bulk; integers are 0
// or 1, so that they stay valid as indices; 8-bit ones use their whole range, being quantised
// activations. `stream` tells the inputs of one model apart. Throws Error(kInvalidJob) when given
// values are too many or too few, or the type does not hold them.
void fill_input(void* data, std::size_t n_bytes, const TensorFacts& facts,
                const LoadSettings& settings, std::uint64_t stream);

// The texts of an input of strings, one per element. Throws as above.
std::vector<std::string> input_texts(const TensorFacts& facts, const LoadSettings& settings);

std::size_t count_elements(const std::vector<std::int64_t>& shape);

}  // namespace edgeprof
