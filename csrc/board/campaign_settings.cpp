#include <cstdint>

#include "base/error.h"
#include "base/json.h"
#include "board/campaign.h"
#include "board/json_fields.h"

namespace edgeprof {

CampaignSettings parse_campaign(const std::string& text) {
    CampaignSettings settings{3, 60.0, 0.01, 120.0, 0.5, 0, true};
    json::Value tree;
    try {
        tree = json::parse(text);
    } catch (const json::ParseError& error) {
        throw Error(ErrorKind::kInvalidJob, std::string("campaign.json: ") + error.what());
    }
    for (const auto& [name, value] : read_object("campaign.json", tree)) {
        const std::string field = "campaign." + name;
        if (name == "processes") {
            settings.processes = static_cast<int>(read_integer(field, value, 1, 100));
        } else if (name == "budget_secs") {
            settings.budget_secs = read_number(field, value, 1e-3, 365.0 * kDay_secs);
        } else if (name == "ci_rel") {
            settings.ci_rel = read_number(field, value, 1e-6, 1.0);
        } else if (name == "max_load_secs") {
            settings.max_load_secs = read_number(field, value, 1e-3, kDay_secs);
        } else if (name == "memory_share") {
            settings.memory_share = read_number(field, value, 1e-3, 1.0);
        } else if (name == "seed") {
            settings.seed = static_cast<std::uint64_t>(read_integer(field, value, 0, INT64_MAX));
        } else if (name == "references") {
            settings.has_references = read_flag(field, value);
        } else {
            refuse(field, "no such field");
        }
    }
    return settings;
}

}  // namespace edgeprof
