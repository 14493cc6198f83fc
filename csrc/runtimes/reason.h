// Why a runtime refuses: its own words, made fit for one line.
#pragma once

#include <sys/types.h>

#include <string>

namespace edgeprof {

// The text without places in the runtime's own source: "/src/a/b.cc:91 void a::b(int) found 3".
std::string without_source_paths(const std::string& text);

// The errors among the lines that a runtime logs: those that begin with "ERROR", joined by "; ".
std::string errors_of_log(const std::string& text);

// What is written to stderr from here on, where that is a file, as in the harness' children.
class StderrLog {
  public:
    StderrLog();
    std::string read() const;  // empty where stderr is no file

  private:
    off_t start_;
};

}  // namespace edgeprof
