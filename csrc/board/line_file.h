// A file of whole lines, to which lines are appended: what a kill or a power cut left behind the
// last line end is cut off, and what does not fit on the disk is taken back.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace edgeprof {

std::vector<std::string> lines_of(const std::string& text);

class LineFile {
  public:
    // Makes the file where it is missing. Throws Error(kOutputError), as append() and sync() do.
    explicit LineFile(const std::string& path);
    LineFile(const LineFile&) = delete;
    LineFile& operator=(const LineFile&) = delete;
    ~LineFile();

    // Writes the line and its end.
    void append(const std::string& line);
    void sync();

  private:
    int descriptor_;
    off_t size_bytes_ = 0;
};

// Calls visit(line) for each whole line of a file, one after the other; none where it is missing.
void for_each_line(const std::string& path, const std::function<void(const std::string&)>& visit);

}  // namespace edgeprof
