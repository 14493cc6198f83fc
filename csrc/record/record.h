// A measurement, or its failure, as one JSON line. The fields are documented in the README,
// "The measurement record"; edgeprof/measurement.py reads them.
//
// Version 1: the first. Since then added, absent in older ones: samples.ref_cycles or timer_ticks,
// counters[].mode, energy[].from; a counter may be null for a sample.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "board/job.h"
#include "timing/clock.h"
#include "timing/drift.h"
#include "timing/measure.h"

namespace edgeprof {

constexpr int kRecordVersion = 1;

// What one measured model gives to its record.
struct RecordParts {
    const Subjob& subjob;
    RuntimeFacts runtime;
    const LoadedModel& model;
    const CounterGroup* counters;  // nullptr: switched off
    const EnergySampler& energy;
    std::int64_t load_ns;
    const Outcome& outcome;
    std::optional<Drift> drift;
    std::optional<std::int64_t> peak_rss_bytes;
    std::vector<OperatorTime> operators;
    std::string profile_failure;  // why there are none; empty when all went well
};

// The record of a job; of a group {"record_version", "job_id", "group": [record ...]}.
std::string success_record(const Job& job, const Clock& clock,
                           const std::vector<RecordParts>& parts, const std::string& machine_json);

// Named facts beside an error; empty values are left out.
using ErrorEvidence = std::vector<std::pair<std::string, std::string>>;

std::string failure_record(const Job& job, const Error& error, const ErrorEvidence& evidence);

// High-water mark of this process's resident set, from the kernel's own account: a polling thread
// would disturb the measurement. None where the system does not tell.
std::optional<std::int64_t> read_peak_rss_bytes();

// Works out the hashes that the job's record will hold and that serve many jobs, libraries and
// shared weights. In the process that forks: what its children find out is lost with them.
void remember_hashes(const Job& job);

// One line: control characters become spaces, and runs of them one; cut off beyond 600 bytes.
std::string one_line(const std::string& text);

}  // namespace edgeprof
