// SHA-256 (FIPS 180-4), to say which file was measured with which library.
#pragma once

#include <string>

namespace edgeprof {

// 64 hexadecimal digits; empty when the file cannot be read.
std::string sha256_of_file(const std::string& path);

// The same for bytes in memory.
std::string sha256_of_bytes(const std::string& bytes);

// The same for a file, remembered as long as its size and time stay the same: a runtime, or weights
// that subnets share, have tens of megabytes and serve thousands of jobs.
std::string remembered_sha256(const std::string& path);

}  // namespace edgeprof
