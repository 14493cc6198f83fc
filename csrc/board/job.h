// A job: what to measure and how, as one JSON line.
#pragma once

#include <string>
#include <vector>

#include "runtimes/backend.h"
#include "timing/measure_settings.h"

namespace edgeprof {

enum class CounterMode { kAuto, kOff };

// One model to measure.
struct Subjob {
    std::string runtime;
    std::string library;  // path of the runtime's library
    LoadSettings load;
    MeasureSettings measure;
    CounterMode counters;      // kAuto: where reading them costs next to nothing
    std::size_t per_op_runs;   // inferences profiled by operator after the timing; 0: none
    bool has_timestamps;       // the record tells when each inference began
    bool is_reference;         // of a group: measured for its drift, which is then the machine's
    std::string outputs_file;  // for the outputs of the last inference; empty: not wanted
};

struct Job {
    std::string job_id;
    std::string clock;  // auto, or a name of ClockKind
    double max_load_secs;
    double max_drift;             // beyond it, a measurement is refused
    std::string progress_file;    // rewritten between rounds; empty: not wanted
    std::string root;             // of the machine's facts; no field of the line: "/" but in tests
    bool has_references;          // reference models of our own take turns with the job's models
    bool is_group;                // the job line said "interleave"; its record has a "group"
    std::vector<Subjob> subjobs;  // at least one; several are measured interleaved

    double max_secs() const;                 // of all
    std::vector<int> measured_cpus() const;  // of all; empty when one of them may run anywhere
    std::string model_paths() const;         // for messages
};

// Reads a job line. The defaults of all settings stand in job.cpp and nowhere else.
// Throws Error(kInvalidJob), naming the field.
Job parse_job(const std::string& line);

}  // namespace edgeprof
