// Fields of job lines and of campaign.json, checked. All throw Error(kInvalidJob), naming the field
// and what was expected.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace edgeprof {

constexpr double kDay_secs = 86'400.0;

[[noreturn]] void refuse(const std::string& field, const std::string& wanted);

std::string read_string(const std::string& field, const json::Value& value);
double read_number(const std::string& field, const json::Value& value, double least, double most);
std::int64_t read_integer(const std::string& field, const json::Value& value, std::int64_t least,
                          std::int64_t most);
std::vector<std::int64_t> read_integers(const std::string& field, const json::Value& value,
                                        std::int64_t least, std::int64_t most);
bool read_flag(const std::string& field, const json::Value& value);
const json::Object& read_object(const std::string& field, const json::Value& value);

}  // namespace edgeprof
