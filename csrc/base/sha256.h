// SHA-256 (FIPS 180-4), to say which file was measured with which library.
#pragma once

#include <string>

namespace edgeprof {

// 64 hexadecimal digits; empty when the file cannot be read.
std::string sha256_of_file(const std::string& path);

// The same for bytes in memory.
std::string sha256_of_bytes(const std::string& bytes);

}  // namespace edgeprof
