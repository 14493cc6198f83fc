// The shapes that inputs are fed with: the model's own where they are fixed, the job's elsewhere.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtimes/backend.h"

namespace edgeprof {

// An input as the model states it: negative dimensions are dynamic.
struct ModelInput {
    TensorFacts facts;
    bool has_rank = true;                   // false: the model gives no shape at all
    std::vector<std::string> symbols = {};  // names of dynamic dimensions; may be fewer than those
};

// Whether inference works with these shapes of the inputs that are open; false: it does not.
using TryShapes = std::function<bool(const std::vector<TensorFacts>& open)>;

// Returns the inputs with the shapes to feed, which stand in the job where the model's are dynamic
// or unknown. Throws kInvalidModel when one is not given (naming all of them, and proposing shapes
// that work where there is a function to try them), kInvalidJob when
// what is given fits no input, kUnsupportedModel when no values can be made for a type.
std::vector<TensorFacts> fix_shapes(const std::vector<ModelInput>& inputs,
                                    const LoadSettings& settings, const TryShapes& works = {});

}  // namespace edgeprof
