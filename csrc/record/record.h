// A measurement, or its failure, as one JSON line. The fields are documented in the README,
// "The measurement record"; edgeprof/measurement.py reads them.
//
// Version 1: the first. Since then added, absent in older ones: samples.ref_cycles or timer_ticks,
// counters[].mode, energy[].from, page_faults; a counter may be null for a sample.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtimes/backend.h"
#include "timing/clock.h"
#include "timing/counters.h"
#include "timing/drift.h"
#include "timing/measure_settings.h"
#include "timing/outcome.h"
#include "timing/reference_turns.h"

namespace edgeprof {

constexpr int kRecordVersion = 1;

// What one measured model gives to its record.
struct RecordParts {
    const LoadSettings& load;
    const MeasureSettings& settings;
    std::size_t per_op_runs;
    bool has_timestamps;
    RuntimeFacts runtime;
    const LoadedModel& model;
    const CounterGroup* counters;  // nullptr: switched off
    const EnergySampler& energy;
    std::int64_t load_ns;
    const Outcome& outcome;
    const std::vector<ReferenceSamples>& references;
    std::optional<Drift> drift;
    std::optional<std::int64_t> peak_rss_bytes;
    std::vector<OperatorTime> operators;
    std::string profile_failure;  // why there are none; empty when all went well
};

std::string success_record(const std::string& job_id, const Clock& clock, const RecordParts& parts,
                           const std::string& machine_json);

// Of models that were measured interleaved: {"record_version", "job_id", "group": [record ...]}.
std::string group_record(const std::string& job_id, const Clock& clock,
                         const std::vector<RecordParts>& parts, const std::string& machine_json);

// Named facts beside an error; empty values are left out.
using ErrorEvidence = std::vector<std::pair<std::string, std::string>>;

std::string failure_record(const std::string& job_id, const std::string& model_path,
                           const Error& error, const ErrorEvidence& evidence);

// High-water mark of this process's resident set, from the kernel's own account: a polling thread
// would disturb the measurement. None where the system does not tell.
std::optional<std::int64_t> read_peak_rss_bytes();

// One line: control characters become spaces, and runs of them one; cut off beyond 600 bytes.
std::string one_line(const std::string& text);

}  // namespace edgeprof
