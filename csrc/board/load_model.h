// From a subjob to a model that is loaded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "board/job.h"
#include "timing/counters.h"

namespace edgeprof {

// Where a job stands, for whoever watches over it: a crash is then told with its circumstances.
enum class Phase { kOpening, kLoading, kMeasuring, kProfiling, kReporting };
const char* name_of(Phase phase) noexcept;
using PhaseListener = std::function<void(Phase, const RuntimeFacts&)>;  // of the subjob at hand

// A model that is loaded, with all that it needs to stay so.
struct LoadedSubjob {
    std::shared_ptr<Runtime> runtime;
    std::unique_ptr<CounterGroup> counters;  // nullptr: switched off
    std::unique_ptr<LoadedModel> model;
    std::int64_t load_ns;
};

// root: of the machine's facts. `facts` follow what is known of the runtime. Throws Error.
LoadedSubjob load_subjob(const Subjob& subjob, const std::string& root,
                         const PhaseListener& on_phase, RuntimeFacts& facts);

}  // namespace edgeprof
