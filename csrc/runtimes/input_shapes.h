// The shapes that inputs are fed with: the model's own where they are fixed, the job's elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtimes/backend.h"

namespace edgeprof {

// Returns the shape to feed. Negative dimensions of `facts` are dynamic; `symbols` names them where
// the model does (else empty). Throws kInvalidModel when a dynamic one is not given, kInvalidJob
// when what is given does not fit, kUnsupportedModel when no values can be made for the type.
std::vector<std::int64_t> shape_to_feed(const TensorFacts& facts,
                                        const std::vector<std::string>& symbols,
                                        const LoadSettings& settings);

// Throws kInvalidJob when a shape is given for an input that the model does not have.
void refuse_unknown_inputs(const std::vector<TensorFacts>& inputs, const LoadSettings& settings);

}  // namespace edgeprof
