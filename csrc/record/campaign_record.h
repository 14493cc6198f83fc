// The record of an item of a campaign: like that of a single job, its samples from several
// processes, each with the round that it was taken in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "runtimes/backend.h"
#include "timing/clock.h"
#include "timing/measure_settings.h"
#include "timing/prepare.h"

namespace edgeprof {

// What is known of an item when it is ready in a process: an object of members of its record.
std::string item_facts_json(const LoadSettings& load, const MeasureSettings& settings,
                            const RuntimeFacts& runtime, const LoadedModel& model,
                            std::int64_t load_ns, const Prepared& prepared);

std::string clock_json(const Clock& clock);

// One entry per timed inference, in the order of time.
struct CampaignSamples {
    std::vector<std::int64_t> latency_ns;
    std::vector<std::int64_t> begin_ns;  // CLOCK_MONOTONIC_RAW
    std::vector<std::uint16_t> disturbed;
    std::vector<std::int64_t> waited_ns;
    std::vector<std::int64_t> process;
    std::vector<std::int64_t> round;  // within the process
};

struct CampaignFacts {
    int group;  // -1: in all of them
    std::size_t n_processes;
    std::size_t n_rounds;
    bool is_narrow;  // the interval is as narrow as asked for
    double budget_secs;
    double spent_secs;
    double ci_rel;
    std::optional<double> half_width_rel;
    std::vector<std::int64_t> load_ns;             // per process
    std::vector<std::int64_t> first_inference_ns;  // likewise
};

// item_facts: of its first process, as item_facts_json() gave them; clock, machine: likewise.
std::string campaign_record(const std::string& job_id, const json::Value& item_facts,
                            const json::Value& clock, const json::Value& machine,
                            const CampaignSamples& samples, const CampaignFacts& facts);

}  // namespace edgeprof
