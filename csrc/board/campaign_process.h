// One process of a campaign: loads the items of a group, visits them in rounds, and writes down
// what each round gave. A fork of the program, watched over by campaign.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "board/campaign.h"
#include "board/campaign_state.h"
#include "board/job.h"

namespace edgeprof {

struct CampaignItem {
    std::string job_id;
    Job job;  // of one subjob
    bool is_reference;
};

// What a process is to do.
struct ProcessTask {
    CampaignSettings settings;
    std::string rounds_path;
    ProcessPlace place;
    // In the order of loading, references first. Where the group's members are not settled yet, as
    // many are loaded as fit; those are the group.
    std::vector<CampaignItem> items;
    bool is_settled;
    std::size_t n_items;       // of the whole campaign, without references
    double spent_secs;         // by this slot before
    double spent_before_secs;  // by earlier slots of the group
    int n_slots_left;          // of the group, with this one
    std::int64_t shift_ns;     // added to all times: a reboot sets the clock back
};

// In memory that parent and child share: what the child is doing, so that the parent knows whose
// fault it is when the child dies, and when to stop waiting.
struct SharedProgress {
    std::atomic<int> item{-1};  // index in the task; -1: none
    std::atomic<int> phase{0};
    std::atomic<std::int64_t> until_ns{0};  // CLOCK_MONOTONIC_RAW; past it, the child hangs
    std::atomic<double> limit_secs{0.0};    // of which that is the end
    char runtime_version[64] = {};
};

// Returns when the slot is done. Failures of items are written down; throws Error(kOutputError)
// when that cannot be done.
void run_process(const ProcessTask& task, SharedProgress& progress);

}  // namespace edgeprof
