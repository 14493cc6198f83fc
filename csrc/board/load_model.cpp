#include "board/load_model.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "machine/affinity.h"
#include "timing/clock.h"

namespace edgeprof {

namespace {

// What the file system says about the model, before a runtime says it less clearly.
void check_model_file(const std::string& path) {
    struct stat facts = {};
    if (stat(path.c_str(), &facts) != 0) {
        throw Error(ErrorKind::kInvalidModel, path + ": no such model file");
    }
    if (!S_ISREG(facts.st_mode)) throw Error(ErrorKind::kInvalidModel, path + ": is not a file");
    if (facts.st_size == 0) throw Error(ErrorKind::kInvalidModel, path + ": is empty");
    if (access(path.c_str(), R_OK) != 0) {
        throw Error(ErrorKind::kInvalidModel, path + ": cannot be read: " + std::strerror(errno));
    }
}

}  // namespace

const char* name_of(Phase phase) noexcept {
    switch (phase) {
        case Phase::kOpening:
            return "opening";
        case Phase::kLoading:
            return "loading";
        case Phase::kMeasuring:
            return "measuring";
        case Phase::kProfiling:
            return "profiling";
        case Phase::kReporting:
            return "reporting";
    }
    return "unknown";
}

LoadedSubjob load_subjob(const Subjob& subjob, const std::string& root,
                         const PhaseListener& on_phase, RuntimeFacts& facts) {
    facts = {subjob.runtime, "", subjob.library};
    if (on_phase) on_phase(Phase::kOpening, facts);
    if (has_model_files(subjob.runtime)) check_model_file(subjob.load.model_path);
    check_cpus(subjob.measure.cpus);
    const ScopedAffinity affinity(subjob.measure.cpus);
    LoadedSubjob loaded;
    // Before the runtime: its threads inherit the counters.
    if (subjob.counters == CounterMode::kAuto) {
        loaded.counters = std::make_unique<CounterGroup>(subjob.measure.has_worker_threads,
                                                         subjob.measure.cpus, root);
    }
    loaded.runtime = open_runtime(subjob.runtime, subjob.library);
    facts = loaded.runtime->facts();
    if (subjob.per_op_runs > 0 && !loaded.runtime->has_profiler()) {
        throw Error(ErrorKind::kUnsupportedModel,
                    facts.name + " offers no profile by operator; leave --per-op out");
    }
    if (on_phase) on_phase(Phase::kLoading, facts);
    const std::int64_t start_ns = monotonic_raw_ns();
    loaded.model = loaded.runtime->load(subjob.load);
    loaded.load_ns = monotonic_raw_ns() - start_ns;
    return loaded;
}

}  // namespace edgeprof
