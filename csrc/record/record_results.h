// What a measurement came to, as members of its record: clock, counters, samples, blocks, energy,
// operators, summary, warnings.
#pragma once

#include "base/json.h"
#include "record/record.h"
#include "timing/clock.h"

namespace edgeprof {

void write_results(json::Writer& writer, const Clock& clock, const RecordParts& parts);

}  // namespace edgeprof
