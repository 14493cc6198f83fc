// A session of ONNX Runtime: its options, its execution providers, and what a refusal means.
#pragma once

#include <string>

#include "runtimes/backend.h"
#include "runtimes/ort/ort_core.h"
#include "runtimes/ort/ort_options.h"

namespace edgeprof {

// Loads the model. profile_prefix: where the runtime's profiler writes; empty switches it off.
// Throws Error: kInvalidModel, kUnsupportedModel, kInvalidJob (session_config, a provider's
// options), kRuntimeUnavailable (a provider that is not there).
Owned<ort::Session> create_ort_session(const OrtCore& core, const LoadSettings& settings,
                                       const OrtOptions& options,
                                       const std::string& profile_prefix);

}  // namespace edgeprof
