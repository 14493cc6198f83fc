// A job in a child process: what kills the child is told, not suffered.
#pragma once

#include <string>

#include "board/run_job.h"

namespace edgeprof {

// Runs the job in a forked child and returns its record. Crash, hang and lack of memory become
// failure records that name the runtime's library, its version where it is known, and the signal.
// To be called from a process with one thread only (fork).
std::string run_isolated(const Job& job);

// How long a phase may take. `round_secs`: one inference of each model, as far as they are known;
// a measurement that has had its time is waited for as long as its last inferences may need.
double limit_secs(const Job& job, Phase phase, double round_secs);

}  // namespace edgeprof
