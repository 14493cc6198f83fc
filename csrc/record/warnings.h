// Every warning that a measurement can carry, in one table: when it holds, and the line that says
// what was seen, what that does to the number and what to do. What the machine is like is no matter
// of this table: edgeprof/machine.py judges that, from the facts in the record.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "timing/counters.h"
#include "timing/drift.h"
#include "timing/measure_settings.h"
#include "timing/outcome.h"
#include "timing/summary.h"

namespace edgeprof {

// A machine that changes by more within one measurement is worth a word.
constexpr double kNotableDrift = 0.03;

// What warnings are drawn from.
struct MeasuredFacts {
    const MeasureSettings& settings;
    const Outcome& outcome;
    const Summary& summary;
    std::optional<Drift> drift;
    std::vector<CounterFacts> counters;  // those that counted
    std::string profile_failure;         // one line; empty when all went well
};

struct WarningRule {
    const char* id;
    // What stands in place of the line's "{}", if it has one; none: it does not hold. Pure.
    std::optional<std::string> (*seen)(const MeasuredFacts& facts);
    const char* found;
    const char* consequence;
    const char* remedy;
};

// In the order in which they are told. docs/measurement.md lists them, held to this by a test.
const std::vector<WarningRule>& warning_rules();

// "found: consequence; remedy" of each rule that holds.
std::vector<std::string> warnings_of(const MeasuredFacts& facts);

}  // namespace edgeprof
