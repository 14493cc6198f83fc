// Whole files of text, and writing to what is open. Throws Error(kOutputError) with the system's
// reason.
#pragma once

#include <string>

namespace edgeprof {

// With the reason that errno names.
[[noreturn]] void fail_io(const std::string& what);

// Empty where there is no such file.
std::string read_text(const std::string& path);

// All of it, however often it takes.
void write_all(int descriptor, const std::string& text);

}  // namespace edgeprof
