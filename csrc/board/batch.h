// A batch of jobs in its folder (worker.h has its files): every job without a record gets one.
//
// Owns: that a record is on disk before the next job starts, whole or not at all.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "board/line_file.h"
#include "board/reader.h"

namespace edgeprof {

// Runs the job of one JSON line in a child process and returns its record (or the record of its
// failure) as one JSON line without the line end.
using JobRunner = std::function<std::string(const std::string& job_line)>;

// records.jsonl: one record a line, on disk before the next is asked for.
class RecordFile {
  public:
    explicit RecordFile(const std::string& path);
    bool has(const std::string& job_id) const { return done_.count(job_id) != 0; }
    void append(const std::string& job_id, const std::string& record);

  private:
    LineFile file_;
    std::set<std::string> done_;
};

// The record under that id. A job line that cannot be read gives one without; its batch knows.
std::string under_id(const std::string& record, const std::string& job_id);

// A batch with a campaign.json is a campaign; its jobs are not given to run_job, and it ends with
// its reader (reader.h). Throws Error(kOutputError) when that has gone or a record cannot be
// written.
void work_off(const std::string& batch_folder, const JobRunner& run_job, int reader = kNoReader);

}  // namespace edgeprof
