#include "record/campaign_record.h"

#include <cmath>

#include "record/record_writers.h"
#include "timing/summary.h"

namespace edgeprof {

namespace {

double thousandths(double value) { return std::round(value * 1e3) / 1e3; }

void write_campaign(json::Writer& writer, const CampaignFacts& facts) {
    writer.key("campaign")
        .begin_object()
        .member("group", facts.group)
        .member("processes", facts.n_processes)
        .member("rounds", facts.n_rounds)
        .member("stop_reason", facts.is_narrow ? "interval" : "budget")
        .member("budget_secs", thousandths(facts.budget_secs))
        .member("spent_secs", thousandths(facts.spent_secs))
        .member("ci_rel", facts.ci_rel)
        .member("load_ns", facts.load_ns)
        .member("first_inference_ns", facts.first_inference_ns);
    if (facts.half_width_rel) {
        writer.member("half_width_rel", std::round(*facts.half_width_rel * 1e6) / 1e6);
    }
    writer.end_object();
}

}  // namespace

std::string item_facts_json(const LoadSettings& load, const MeasureSettings& settings,
                            const RuntimeFacts& runtime, const LoadedModel& model,
                            std::int64_t load_ns, const Prepared& prepared) {
    json::Writer writer;
    writer.begin_object();
    write_model(writer, load.model_path);
    write_runtime(writer, runtime, model);
    writer.key("settings")
        .begin_object()
        .member("threads", load.threads)
        .member("cpus", settings.cpus)
        .member("seed", load.seed)
        .member("ci_rel", settings.ci_rel)
        .end_object()
        .member("load_ns", load_ns)
        .member("first_inference_ns", prepared.first_inference_ns);
    write_warmup(writer, prepared.warmup);
    return writer.end_object().text();
}

std::string clock_json(const Clock& clock) {
    json::Writer writer;
    writer.begin_object();
    write_clock(writer, clock);
    return writer.end_object().text();
}

std::string campaign_record(const std::string& job_id, const json::Value& item_facts,
                            const json::Value& clock, const json::Value& machine,
                            const CampaignSamples& samples, const CampaignFacts& facts) {
    json::Writer writer;
    writer.begin_object();
    write_head(writer, job_id);
    for (const json::Value* members : {&item_facts, &clock}) {
        if (members->as_object() == nullptr) continue;
        for (const auto& [name, value] : *members->as_object()) writer.member(name, value);
    }
    writer.key("counters").begin_array().end_array();
    writer.key("absent_counters").begin_array().end_array();
    writer.key("samples")
        .begin_object()
        .member("latency_ns", samples.latency_ns)
        .member("begin_ns", samples.begin_ns)
        .member("disturbed", samples.disturbed)
        .member("waited_ns", samples.waited_ns)
        .member("process", samples.process)
        .member("round", samples.round)
        .end_object();
    write_campaign(writer, facts);
    Samples plain;
    plain.latency_ns = samples.latency_ns;
    plain.disturbed = samples.disturbed;
    write_summary(writer, plain, summarize(plain));
    writer.member("stop_reason", facts.is_narrow ? "interval" : "max_secs");
    writer.key("warnings").begin_array().end_array();
    writer.member("machine", machine).end_object();
    return writer.text();
}

}  // namespace edgeprof
