#include "board/campaign_state.h"

#include <algorithm>
#include <cmath>

#include "board/line_file.h"
#include "timing/statistics.h"

namespace edgeprof {

namespace {

json::Writer& open_event(json::Writer& writer, const char* name) {
    return writer.begin_object().member("event", name);
}

json::Writer& open_event(json::Writer& writer, const char* name, const ProcessPlace& place) {
    return open_event(writer, name)
        .member("group", place.group)
        .member("process", place.process)
        .member("slot", place.slot);
}

std::int64_t integer_of(const json::Value& event, std::string_view name) {
    const json::Value* member = event.find(name);
    return member != nullptr && member->as_int() != nullptr ? *member->as_int() : 0;
}

double number_of(const json::Value& event, std::string_view name) {
    const json::Value* member = event.find(name);
    if (member != nullptr && member->as_double() != nullptr) return *member->as_double();
    return static_cast<double>(integer_of(event, name));
}

std::string text_of(const json::Value& event, std::string_view name) {
    const json::Value* member = event.find(name);
    return member != nullptr && member->as_string() != nullptr ? *member->as_string() : "";
}

template <class Integer>
void append_integers(const json::Value& visit, std::string_view name, std::vector<Integer>& to) {
    const json::Value* member = visit.find(name);
    if (member == nullptr || member->as_array() == nullptr) return;
    for (const json::Value& item : *member->as_array()) {
        to.push_back(item.as_int() != nullptr ? static_cast<Integer>(*item.as_int()) : Integer{0});
    }
}

void for_each_event(const std::string& path,
                    const std::function<void(const std::string&, const json::Value&)>& visit) {
    for_each_line(path, [&visit](const std::string& line) {
        json::Value event;
        try {
            event = json::parse(line);
        } catch (const json::ParseError&) {  // torn by a power cut
            return;
        }
        visit(text_of(event, "event"), event);
    });
}

const json::Object& visits_of(const json::Value& event) {
    static const json::Object none;
    const json::Value* visits = event.find("visits");
    return visits != nullptr && visits->as_object() != nullptr ? *visits->as_object() : none;
}

CampaignState::Group& group_of(CampaignState& state, const json::Value& event) {
    const auto group =
        static_cast<std::size_t>(std::max<std::int64_t>(0, integer_of(event, "group")));
    if (state.groups.size() <= group) state.groups.resize(group + 1);
    return state.groups[group];
}

CampaignState::Slot& slot_of(CampaignState& state, const json::Value& event) {
    CampaignState::Group& group = group_of(state, event);
    const auto slot =
        static_cast<std::size_t>(std::max<std::int64_t>(0, integer_of(event, "slot")));
    if (group.slots.size() <= slot) group.slots.resize(slot + 1);
    return group.slots[slot];
}

void note_round(CampaignState& state, const json::Value& event) {
    slot_of(state, event).spent_secs = number_of(event, "spent_secs");
    for (const auto& [id, visit] : visits_of(event)) {
        std::vector<std::int64_t> begins;
        append_integers(visit, "begin_ns", begins);
        for (const std::int64_t begin : begins) {
            state.last_begin_ns = std::max(state.last_begin_ns, begin);
        }
    }
}

void add_visit(ItemData& item, const json::Value& event, const json::Value& visit) {
    CampaignSamples& samples = item.samples;
    append_integers(visit, "latency_ns", samples.latency_ns);
    append_integers(visit, "begin_ns", samples.begin_ns);
    append_integers(visit, "disturbed", samples.disturbed);
    append_integers(visit, "waited_ns", samples.waited_ns);
    const std::size_t n = samples.latency_ns.size();
    samples.begin_ns.resize(n);
    samples.disturbed.resize(n);
    samples.waited_ns.resize(n);
    samples.process.resize(n, integer_of(event, "process"));
    samples.round.resize(n, integer_of(event, "round"));
    ++item.n_rounds;
}

// The medians of a round, for the estimate.
std::vector<double> logs_of(const CampaignData& data, const json::Value& event) {
    std::vector<double> logs(data.ids.size(), std::nan(""));
    for (const auto& [id, visit] : visits_of(event)) {
        const auto at = std::find(data.ids.begin(), data.ids.end(), id);
        std::vector<double> latencies;
        append_integers(visit, "latency_ns", latencies);
        if (at == data.ids.end() || latencies.empty()) continue;
        logs[static_cast<std::size_t>(at - data.ids.begin())] =
            std::log(std::max(1.0, median(std::move(latencies))));
    }
    return logs;
}

}  // namespace

std::string group_event(int group, const std::vector<std::string>& items) {
    json::Writer writer;
    return open_event(writer, "group")
        .member("group", group)
        .member("items", items)
        .end_object()
        .text();
}

std::string process_event(const ProcessPlace& place, const std::string& clock_json,
                          const std::string& machine_json) {
    json::Writer writer;
    open_event(writer, "process", place).key("clock").raw(clock_json);
    return writer.key("machine").raw(machine_json).end_object().text();
}

std::string loaded_event(const ProcessPlace& place, const std::string& item,
                         const std::string& facts_json) {
    json::Writer writer;
    open_event(writer, "loaded", place).member("item", item).key("facts").raw(facts_json);
    return writer.end_object().text();
}

std::string failed_event(const std::string& item, const std::string& record) {
    json::Writer writer;
    open_event(writer, "failed").member("item", item).key("record").raw(record);
    return writer.end_object().text();
}

std::string round_event(const ProcessPlace& place, const Round& round, double spent_secs,
                        const std::vector<std::string>& ids, std::int64_t shift_ns) {
    json::Writer writer;
    open_event(writer, "round", place)
        .member("round", round.number)
        .member("spent_secs", spent_secs)
        .key("visits")
        .begin_object();
    for (const VisitSamples& visit : round.visits) {
        std::vector<std::int64_t> begin_ns = visit.begin_ns;
        for (std::int64_t& begin : begin_ns) begin += shift_ns;
        writer.key(ids[visit.item])
            .begin_object()
            .member("latency_ns", visit.latency_ns)
            .member("begin_ns", begin_ns)
            .member("disturbed", visit.disturbed)
            .member("waited_ns", visit.waited_ns)
            .end_object();
    }
    return writer.end_object().end_object().text();
}

std::string slot_end_event(const ProcessPlace& place, const std::string& reason) {
    json::Writer writer;
    return open_event(writer, "slot_end", place).member("stop_reason", reason).end_object().text();
}

double CampaignState::Group::spent_secs() const {
    double sum = 0.0;
    for (const Slot& slot : slots) sum += slot.spent_secs;
    return sum;
}

CampaignState read_state(const std::string& rounds_path) {
    CampaignState state;
    for_each_event(rounds_path, [&state](const std::string& name, const json::Value& event) {
        if (name == "group") {
            CampaignState::Group& group = group_of(state, event);
            const json::Value* items = event.find("items");
            if (items == nullptr || items->as_array() == nullptr) return;
            group.items.clear();
            for (const json::Value& item : *items->as_array()) {
                if (item.as_string() != nullptr) group.items.push_back(*item.as_string());
            }
        } else if (name == "process") {
            const auto process = static_cast<int>(integer_of(event, "process"));
            state.n_processes = std::max(state.n_processes, process + 1);
        } else if (name == "failed") {
            json::Writer record;
            if (event.find("record") == nullptr) return;
            state.failed[text_of(event, "item")] = record.value(*event.find("record")).text();
        } else if (name == "round") {
            note_round(state, event);
        } else if (name == "slot_end") {
            slot_of(state, event).is_ended = true;
        }
    });
    return state;
}

CampaignData read_data(const std::string& rounds_path, const std::vector<std::string>& ids,
                       int group) {
    CampaignData data;
    data.ids = ids;
    data.estimate = RatioEstimate(ids.size());
    for (const std::string& id : ids) data.items[id];
    for_each_event(rounds_path, [&data, group](const std::string& name, const json::Value& event) {
        if (group >= 0 && integer_of(event, "group") != group) return;
        if (name == "process") {
            data.estimate.start_process();
            if (!data.clock.is_null() || event.find("clock") == nullptr) return;
            data.clock = *event.find("clock");
            if (event.find("machine") != nullptr) data.machine = *event.find("machine");
        } else if (name == "loaded") {
            const auto item = data.items.find(text_of(event, "item"));
            const json::Value* facts = event.find("facts");
            if (item == data.items.end() || facts == nullptr) return;
            if (item->second.facts.is_null()) item->second.facts = *facts;
            item->second.load_ns.push_back(integer_of(*facts, "load_ns"));
            item->second.first_inference_ns.push_back(integer_of(*facts, "first_inference_ns"));
        } else if (name == "round") {
            data.estimate.add_round(logs_of(data, event));
            for (const auto& [id, visit] : visits_of(event)) {
                const auto item = data.items.find(id);
                if (item != data.items.end()) add_visit(item->second, event, visit);
            }
        }
    });
    return data;
}

}  // namespace edgeprof
