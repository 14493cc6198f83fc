// A measurement, or its failure, as one JSON line. The fields are documented in the README,
// "The measurement record"; edgeprof/measurement.py reads them.
//
// Version 1: the first.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "clock.h"
#include "error.h"
#include "job.h"
#include "measure.h"

namespace edgeprof {

constexpr int kRecordVersion = 1;

// What one measured model gives to its record.
struct RecordParts {
    const Subjob& subjob;
    RuntimeFacts runtime;
    const LoadedModel& model;
    const CounterGroup* counters;  // nullptr: switched off
    std::int64_t load_ns;
    const Outcome& outcome;
    std::vector<OperatorTime> operators;
};

// The record of a job; of a group {"record_version", "job_id", "group": [record ...]}.
std::string success_record(const Job& job, const Clock& clock,
                           const std::vector<RecordParts>& parts, const std::string& machine_json);

// Named facts beside an error; empty values are left out.
using ErrorEvidence = std::vector<std::pair<std::string, std::string>>;

std::string failure_record(const Job& job, const Error& error, const ErrorEvidence& evidence);

// SHA-256 of a library, remembered as long as the file's size and time stay the same: a runtime has
// tens of megabytes and serves thousands of jobs.
std::string library_sha256(const std::string& path);

// One line: control characters become spaces, and runs of them one; cut off beyond 600 bytes.
std::string one_line(const std::string& text);

}  // namespace edgeprof
