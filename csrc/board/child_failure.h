// What is told of a child process that did not come back: the record of its failure.
#pragma once

#include <cstdio>
#include <string>

#include "board/load_model.h"

namespace edgeprof {

// What the parent knows of a child that is gone.
struct ChildFacts {
    Phase phase;
    RuntimeFacts runtime;
    std::string output;  // the end of what the runtime printed
};

// status: as waitpid(2) gives it.
std::string crash_record(const std::string& job_id, const std::string& model_path,
                         const ChildFacts& facts, int status);
// option: the one that gives it longer.
std::string timeout_record(const std::string& job_id, const std::string& model_path,
                           const ChildFacts& facts, double limit_secs, const char* option);

// The last bytes of a file.
std::string tail_of(std::FILE* file);

}  // namespace edgeprof
