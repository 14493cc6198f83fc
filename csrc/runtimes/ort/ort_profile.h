// Reads the profile that ONNX Runtime writes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtimes/backend.h"

namespace edgeprof {

// Mean time per inference of each operator, in the order of execution, from a profile of n_warmups
// and then n_runs inferences, of which only the latter count. Pure. Throws json::ParseError.
std::vector<OperatorTime> parse_ort_profile(const std::string& text, std::size_t n_warmups,
                                            std::size_t n_runs);

}  // namespace edgeprof
