// Runs a process of a campaign as a child, and tells whose fault it is when that dies or hangs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "board/campaign_process.h"

namespace edgeprof {

// How a process ended that was to run a slot.
struct ProcessEnd {
    bool is_done;
    std::optional<std::size_t> culprit;  // index in the task, of the item that it died or hung on
    std::string record;                  // of the failure
};

// To be called from a process with one thread only (fork). Throws Error(kOutputError) where the
// child could not write, or the reader (reader.h) has gone: the child is then ended.
ProcessEnd run_child(const ProcessTask& task, int reader);

}  // namespace edgeprof
