// A job in a child process: what kills the child is told, not suffered.
#pragma once

#include <string>

#include "job.h"

namespace edgeprof {

// Runs the job in a forked child and returns its record. Crash, hang and lack of memory become
// failure records that name the runtime's library, its version where it is known, and the signal.
// To be called from a process with one thread only (fork).
std::string run_isolated(const Job& job);

}  // namespace edgeprof
