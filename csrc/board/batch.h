// A batch of jobs in its folder (worker.h has its files): every job without a record gets one.
//
// Owns: that a record is on disk before the next job starts, whole or not at all.
#pragma once

#include <functional>
#include <string>

namespace edgeprof {

// Runs the job of one JSON line in a child process and returns its record (or the record of its
// failure) as one JSON line without the line end.
using JobRunner = std::function<std::string(const std::string& job_line)>;

// Throws Error(kOutputError) when a record cannot be written.
void work_off(const std::string& batch_folder, const JobRunner& run_job);

}  // namespace edgeprof
