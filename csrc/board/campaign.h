// A batch that is measured as a campaign: its items in turns, in groups that fit into memory, each
// group in several processes one after the other. A few items of the first group are in all others.
//
//     campaign.json    how: the fields of CampaignSettings, all optional
//     jobs.jsonl       the items, one job a line
//     rounds.jsonl     what has been measured, appended after every round: a campaign that was cut
//                      off goes on from there
//     records.jsonl    one record per item, when its group is done; of what is in several groups,
//                      references among it, at the end
#pragma once

#include <cstdint>
#include <string>

#include "board/reader.h"

namespace edgeprof {

struct CampaignSettings {
    int processes;         // that each group runs in
    double budget_secs;    // of warm and timed inferences, of all items and processes
    double ci_rel;         // half width of a ratio's interval that is narrow enough
    double max_load_secs;  // bound of loading, and of first inference and warm-up, of each item
    double memory_share;   // of the free memory, that a group may take
    std::uint64_t seed;
    bool has_references;
};

// Throws Error(kInvalidJob), naming the field.
CampaignSettings parse_campaign(const std::string& text);

// Measures what has no record yet. Throws Error: kInvalidJob of campaign.json, kOutputError when a
// record cannot be written, or the reader (reader.h) has gone.
void run_campaign(const std::string& batch_folder, int reader = kNoReader);

}  // namespace edgeprof
