// A job in a child process: what kills the child is told, not suffered.
#pragma once

#include <cstddef>
#include <string>

#include "board/run_job.h"

namespace edgeprof {

// Runs the job in a forked child and returns its record. Crash, hang and lack of memory become
// failure records that name the runtime's library, its version where it is known, and the signal.
// With its reader (reader.h) the child goes, too. To be called from a process with one thread only
// (fork).
std::string run_isolated(const Job& job, int reader);

// How long may pass until the child's next message. n_warm: models that have been warmed up;
// round_secs: one inference of each of them. Until all are warm the bound of loading holds; a
// measurement that has had its time is waited for as long as its fewest samples may need.
double limit_secs(const Job& job, Phase phase, std::size_t n_warm, double round_secs);

}  // namespace edgeprof
