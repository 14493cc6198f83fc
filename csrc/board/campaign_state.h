// What a campaign has done so far, as its rounds.jsonl tells. One line is one event:
//
//     {"event": "group", "group": g, "items": [job_id ...]}
//     {"event": "process", "group", "process": p, "slot": s, "clock": {...}, "machine": {...}}
//     {"event": "loaded", "group", "process", "slot", "item": job_id, "facts": {...}}
//     {"event": "failed", "item": job_id, "record": {...}}
//     {"event": "round", "group", "process", "slot", "round": r, "spent_secs": S,
//      "visits": {job_id: {"latency_ns": [], "begin_ns": [], "disturbed": [], "waited_ns": []}
//      ...}}
//     {"event": "slot_end", "group", "slot", "stop_reason": ...}
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "record/campaign_record.h"
#include "timing/campaign.h"
#include "timing/ratio_estimate.h"

namespace edgeprof {

// Where in a campaign a process stands.
struct ProcessPlace {
    int group;
    int slot;     // of those planned for the group
    int process;  // of the batch, counted from 0
};

std::string group_event(int group, const std::vector<std::string>& items);
std::string process_event(const ProcessPlace& place, const std::string& clock_json,
                          const std::string& machine_json);
std::string loaded_event(const ProcessPlace& place, const std::string& item,
                         const std::string& facts_json);
std::string failed_event(const std::string& item, const std::string& record);
// ids: job_id per subject. shift_ns: added to all begins.
std::string round_event(const ProcessPlace& place, const Round& round, double spent_secs,
                        const std::vector<std::string>& ids, std::int64_t shift_ns);
std::string slot_end_event(const ProcessPlace& place, const std::string& reason);

struct CampaignState {
    struct Slot {
        double spent_secs = 0.0;
        bool is_ended = false;
    };
    struct Group {
        std::vector<std::string> items;
        std::vector<Slot> slots;

        double spent_secs() const;
    };
    std::vector<Group> groups;
    int n_processes = 0;
    std::int64_t last_begin_ns = 0;
    std::map<std::string, std::string> failed;  // record by job_id
};
CampaignState read_state(const std::string& rounds_path);

// Of some items: all of their samples, and what is needed to report them.
struct ItemData {
    CampaignSamples samples;
    json::Value facts;  // of the first process
    std::vector<std::int64_t> load_ns;
    std::vector<std::int64_t> first_inference_ns;
    std::size_t n_rounds = 0;
};
struct CampaignData {
    std::map<std::string, ItemData> items;
    RatioEstimate estimate{0};  // of the items, in the order of `ids`
    std::vector<std::string> ids;
    json::Value clock;  // {"clock": {...}} of the first process
    json::Value machine;
};
// ids: the items wanted; group: -1: of all groups.
CampaignData read_data(const std::string& rounds_path, const std::vector<std::string>& ids,
                       int group);

}  // namespace edgeprof
