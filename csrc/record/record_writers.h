// Members that records of all kinds hold: each writes into an object that is open.
#pragma once

#include <string>

#include "base/json.h"
#include "runtimes/backend.h"
#include "timing/clock.h"
#include "timing/summary.h"
#include "timing/warmup.h"

namespace edgeprof {

void write_head(json::Writer& writer, const std::string& job_id);
void write_model(json::Writer& writer, const std::string& path);
void write_runtime(json::Writer& writer, const RuntimeFacts& runtime, const LoadedModel& model);
void write_clock(json::Writer& writer, const Clock& clock);
void write_warmup(json::Writer& writer, const Warmup& warmup);
void write_summary(json::Writer& writer, const Samples& samples, const Summary& summary);

}  // namespace edgeprof
