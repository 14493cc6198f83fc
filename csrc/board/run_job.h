// From a job to what comes of it, a record: load, measure, judge, report.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "board/job.h"
#include "board/load_model.h"
#include "timing/drift.h"
#include "timing/measure.h"

namespace edgeprof {

// Functions may be empty.
struct JobListener {
    PhaseListener on_phase;
    WarmListener on_warm;
};

// What the machine's drift was for each model of the job. Throws Error(kUnsteadyMeasurement) beyond
// the job's limit: a number from two machines, the one before and the one after, is none.
std::vector<std::optional<Drift>> judge_drift(const Job& job, const std::vector<Outcome>& outcomes);

// Does the job in this process and returns its record, one JSON line without the line end.
// Failures become failure records: nothing is thrown.
std::string run_job(const Job& job, const JobListener& listener);

}  // namespace edgeprof
