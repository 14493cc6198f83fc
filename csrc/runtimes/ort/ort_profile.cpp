#include "runtimes/ort/ort_profile.h"

#include <algorithm>

#include "base/json.h"

namespace edgeprof {

namespace {

// One operator's executions, in order of time.
struct Executions {
    OperatorTime op;
    std::vector<std::int64_t> durations_us;
};

// The profile is a Chrome trace: an array of events, of which those named "<node>_kernel_time"
// (category "Node") are the operators, with durations in microseconds. False for other events.
bool read_event(const json::Value& event, std::string& name, std::string& type,
                std::int64_t& duration_us) {
    const std::string suffix = "_kernel_time";
    const json::Value* name_value = event.find("name");
    const json::Value* duration = event.find("dur");
    const json::Value* arguments = event.find("args");
    if (name_value == nullptr || duration == nullptr || arguments == nullptr) return false;
    const std::string* full_name = name_value->as_string();
    const std::int64_t* us = duration->as_int();
    const json::Value* op_name = arguments->find("op_name");
    if (full_name == nullptr || us == nullptr || op_name == nullptr) return false;
    if (full_name->size() <= suffix.size() ||
        full_name->substr(full_name->size() - suffix.size()) != suffix) {
        return false;
    }
    name = full_name->substr(0, full_name->size() - suffix.size());
    type = op_name->as_string() != nullptr ? *op_name->as_string() : "";
    duration_us = *us;
    return true;
}

}  // namespace

std::vector<OperatorTime> parse_ort_profile(const std::string& text, std::size_t n_warmups,
                                            std::size_t n_runs) {
    const json::Value trace = json::parse(text);
    std::vector<OperatorTime> operators;
    if (trace.as_array() == nullptr) return operators;
    std::vector<Executions> all;
    std::string name, type;
    std::int64_t duration_us = 0;
    for (const json::Value& event : *trace.as_array()) {
        if (!read_event(event, name, type, duration_us)) continue;
        auto known = std::find_if(all.begin(), all.end(),
                                  [&name](const Executions& some) { return some.op.name == name; });
        if (known == all.end()) known = all.insert(all.end(), Executions{{name, type, 0}, {}});
        known->durations_us.push_back(duration_us);
    }
    for (Executions& executions : all) {
        // Within a loop an operator runs several times per inference.
        const std::size_t n_cold =
            executions.durations_us.size() * n_warmups / (n_warmups + n_runs);
        std::int64_t sum_us = 0;
        for (std::size_t i = n_cold; i < executions.durations_us.size(); ++i) {
            sum_us += executions.durations_us[i];
        }
        executions.op.mean_ns = sum_us * 1000 / static_cast<std::int64_t>(n_runs);
        operators.push_back(executions.op);
    }
    return operators;
}

}  // namespace edgeprof
